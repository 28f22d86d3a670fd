package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/transport"
)

// outcome is how a command of c2conn ended.
type outcome struct {
	stdout, stderr []byte
	code           int
}

// runner runs c2conn; stdin is all that it reads.
type runner func(ctx context.Context, stdin string, args ...string) (outcome, error)

// Exit codes of c2conn: needConsent, checkFailed and policy (EWS blocked, say) are
// findings about a tenant, not failures of the journey.
const needConsent, checkFailed, policy = 4, 5, 6

// c2conn runs a command and shows how it ended; other exit codes than 0 and good are
// errors.
func (l *live) c2conn(ctx context.Context, asAdmin bool, good []int, args ...string) (o outcome, err error) {
	stdin := ""
	if asAdmin {
		if stdin, err = l.admin.Token(ctx, ""); err != nil {
			return o, err
		}
		args = append(args, "--access-token-stdin", "--cloud", l.cloud.Name, "--tenant-id", l.tenant.ID)
	}
	began := l.clock.Now()
	o, err = l.run(ctx, stdin, append(args, "--no-input")...)
	l.say("$ c2conn %s\n  exit code %d after %.1f s", strings.Join(args, " "), o.code, l.clock.Now().Sub(began).Seconds())
	if err == nil && (o.code == 0 || slices.Contains(good, o.code)) {
		return o, nil
	}
	lines := strings.Split(strings.TrimSpace(string(o.stderr)), "\n")
	for _, line := range lines[max(0, len(lines)-12):] {
		l.say("  | %s", transport.CleanText(line, 200))
	}
	return o, errors.Join(fmt.Errorf("c2conn %s %s ended with exit code %d", args[0], args[1], o.code), err)
}

// journey is what an administrator does with c2conn, up to the deletion.
func (l *live) journey(ctx context.Context) error {
	l.begun = true
	args := []string{"new", "exchange", "--auto", "--app-name", l.name, "--name", l.connection, "--save-unverified", "--if-exists", "fail", "--unfinished", "fail",
		"--yes", "--output", "json", "--consistency-timeout", "10m"}
	if l.mailbox != "" {
		args = append(args, "--mailbox", l.mailbox)
	}
	var made struct {
		Connection struct {
			Registration struct {
				ClientID string `json:"client_id"`
			}
		}
		Saved bool
	}
	o, err := l.c2conn(ctx, true, []int{needConsent, checkFailed, policy}, args...)
	if _ = json.Unmarshal(o.stdout, &made); err == nil && o.code == policy && !made.Saved { // certificates must not live that long, probably
		o, err = l.c2conn(ctx, true, []int{needConsent, checkFailed, policy}, append(args, "--cert-days", "longest")...)
		_ = json.Unmarshal(o.stdout, &made)
	}
	if err == nil && !made.Saved {
		err = fmt.Errorf("c2conn new ended with exit code %d and saved no connection", o.code)
	}
	if err != nil {
		return err
	}
	l.registered.client, l.registered.name = made.Connection.Registration.ClientID, l.name
	app, err := l.graph.ApplicationByAppID(graph.Fresh(ctx, patience), l.registered.client)
	sp, second := l.graph.ServicePrincipal(graph.Fresh(ctx, patience), l.registered.client)
	l.registered.application, l.registered.servicePrincipal = app.ObjectID, sp.ObjectID
	l.remember(l.registered)
	if err = errors.Join(err, second); err == nil && o.code == needConsent {
		_, err = l.c2conn(ctx, true, []int{checkFailed, policy}, "consent", l.connection)
	}
	if err == nil {
		_, err = l.c2conn(ctx, false, []int{checkFailed, policy}, "verify", l.connection)
	}
	return err
}

// remove lists and deletes what the journey made, and measures until it is gone.
func (l *live) remove(ctx context.Context) error {
	if l.registered.client == "" {
		return nil // the journey failed before
	}
	o, err := l.c2conn(ctx, true, nil, "app", "list", "--output", "name")
	if err == nil && !strings.Contains(string(o.stdout), l.registered.client) {
		err = fmt.Errorf("c2conn app list does not show %s", l.registered.client)
	}
	if err == nil {
		_, err = l.c2conn(ctx, true, nil, "app", "delete", l.registered.client, "--purge", "--yes")
	}
	if err != nil {
		return err
	}
	s := l.poll(ctx, l.clock.Now(), steady, func() (string, bool) {
		for _, path := range l.registered.paths() {
			if a := l.get(ctx, path+"?$select=id"); a.status != http.StatusNotFound {
				return a.String() + " for " + path[:strings.LastIndex(path, "/")], false
			}
		}
		return "404", true
	})
	l.report.settle("gone", s.ok && s.settled <= patience, "%s", s)
	return nil
}

// made is an application of this run, as far as it is known.
type made struct{ application, client, servicePrincipal, name string }

// remember keeps it for the sweep.
func (l *live) remember(m made) made {
	l.made = append(slices.DeleteFunc(l.made, func(o made) bool { return o.client == m.client }), m)
	return m
}

// paths are where it and what is left of it are found, and deleted: the application
// first, its service principal goes with it.
func (m made) paths() (list []string) {
	for _, object := range [][2]string{{"/applications/", m.application}, {"/servicePrincipals/", m.servicePrincipal}} {
		if object[1] != "" {
			list = append(list, object[0]+object[1], deletedItems+object[1])
		}
	}
	return list
}

var errLeft = errors.New("something may be left in the tenant")

const deletedItems = "/directory/deletedItems/"

// sweep removes all that the run made, on this computer and in the tenant, until
// nothing of it is found any more wherever it is looked for.
func (l *live) sweep(ctx context.Context) (err error) {
	l.say("\nRemoving what is left of this run")
	if l.begun {
		err = l.sweepHere(ctx)
	}
	left := map[string]made{}
	s := l.poll(ctx, l.clock.Now(), steady, func() (string, bool) {
		found, err := l.remnants(ctx)
		if err != nil {
			return err.Error(), false
		}
		left = found
		for path := range found {
			if a := l.ask(ctx, "", http.MethodDelete, path, "", nil); !a.good() && a.status != http.StatusNotFound {
				return "DELETE " + path + ": " + a.String(), false
			}
		}
		return fmt.Sprintf("%d left", len(found)), len(found) == 0
	})
	if s.ok {
		l.say("  nothing of it is left in the tenant, neither application nor service principal nor deleted item (%s)", s)
		return err
	}
	for _, m := range l.made { // it may be there, too
		left[strings.Join(m.paths(), " ")] = m
	}
	l.say("\n!!! NOT REMOVED: %s\n!!! Remove by hand, from the deleted items too, whatever is named %q…:", s.last, l.name)
	for path, m := range left {
		l.say("!!!   %s, client id %s, %s\n!!!     %s\n!!!     c2conn app delete %s --purge", m.name, m.client, path, l.cloud.AppOverview(m.client), m.client)
	}
	return errors.Join(err, errLeft)
}

// sweepHere takes away what c2conn keeps on this computer: an interrupted
// registration, the connection, the certificate.
func (l *live) sweepHere(ctx context.Context) error {
	var list struct {
		Unfinished []struct {
			Run     string
			AppName string `json:"app_name"`
		}
	}
	o, err := l.c2conn(ctx, false, nil, "app", "cleanup", "--list", "--output", "json")
	_ = json.Unmarshal(o.stdout, &list)
	for _, u := range list.Unfinished {
		if u.AppName == l.name {
			_, e := l.c2conn(ctx, true, nil, "app", "cleanup", u.Run, "--yes")
			err = errors.Join(err, e)
		}
	}
	var shown struct {
		Connection struct{ Credential struct{ Thumbprint string } }
	}
	if o, e := l.run(ctx, "", "show", l.connection, "--output", "json"); e != nil || o.code != 0 || json.Unmarshal(o.stdout, &shown) != nil {
		return err // it was never saved
	}
	_, e := l.c2conn(ctx, false, nil, "delete", l.connection, "--yes")
	_, f := l.c2conn(ctx, false, nil, "cert", "delete", shown.Connection.Credential.Thumbprint, "--yes")
	return errors.Join(err, e, f)
}

// remnants looks for everything of this run by path: by name in all four lists, and
// by id, because lists learn of things later than the objects do.
func (l *live) remnants(ctx context.Context) (map[string]made, error) {
	found := map[string]made{}
	for list, path := range map[string]string{"/applications": "/applications/", "/servicePrincipals": "/servicePrincipals/",
		deletedItems + "microsoft.graph.application": deletedItems, deletedItems + "microsoft.graph.servicePrincipal": deletedItems} {
		query := url.Values{"$select": {"id,appId,displayName"}}
		if path != deletedItems { // where filters hardly work
			query.Set("$filter", "startswith(displayName,'"+l.name+"')")
		}
		for next := list + "?" + query.Encode(); next != ""; {
			a := l.get(ctx, next)
			var page struct {
				Value []struct{ ID, AppID, DisplayName string }
				Next  string `json:"@odata.nextLink"`
			}
			if !a.good() || json.Unmarshal(a.body, &page) != nil {
				return nil, fmt.Errorf("%s: %s", list, a)
			}
			for _, o := range page.Value {
				if strings.HasPrefix(o.DisplayName, l.name) {
					found[path+o.ID] = made{client: o.AppID, name: o.DisplayName}
				}
			}
			next = strings.TrimPrefix(page.Next, l.cloud.GraphBase())
		}
	}
	for _, m := range l.made {
		for _, path := range m.paths() {
			if a := l.get(ctx, path+"?$select=id"); a.good() {
				found[path] = m
			} else if a.status != http.StatusNotFound {
				return nil, fmt.Errorf("%s: %s", path, a)
			}
		}
	}
	return found, nil
}
