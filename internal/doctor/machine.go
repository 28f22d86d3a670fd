package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/internal/winauth"
)

func (e *examination) machine(listErr error, entries []connections.Entry) []task.Task {
	return []task.Task{
		{ID: "store", Title: "Store", Limit: localLimit, Run: func(ctx context.Context) task.Result { return e.store(ctx, listErr, entries) }},
		{ID: "secrets", Title: "Key to the secrets", Limit: personLimit, Run: e.secrets},
		{ID: "clouds", Title: "Cloud definitions", Limit: localLimit, Run: e.definitions},
		{ID: "leftovers", Title: "Unused secrets", Limit: localLimit, Run: e.unusedSecrets},
		{ID: "certificates", Title: "Unused certificates", Limit: localLimit, Run: func(ctx context.Context) task.Result { return e.unusedCertificates(ctx, entries) }},
	}
}

func (e *examination) store(ctx context.Context, listErr error, entries []connections.Entry) task.Result {
	if listErr != nil {
		return bad(task.Fail, listErr, e.facts())
	}
	h, err := e.Store.Health(ctx)
	if err != nil {
		return bad(task.Fail, err, e.facts())
	}
	damaged := 0
	for _, one := range entries {
		if one.Err != nil {
			damaged++
		}
	}
	r := pass("%d saved", len(entries))
	switch {
	case damaged > 0:
		r = said(task.Fail, fmt.Sprintf("%d of %d profiles cannot be used", damaged, len(entries)), "They are named below, with the reason.", "Mend each by hand, or take its previous version from the folder .previous.")
	case h.Busy:
		r = said(task.Warn, "another c2conn is writing at this moment", "A write takes milliseconds. Where this stays, that process hangs.", "$ c2conn doctor", "If it stays, end the other c2conn.")
	case !h.Exists:
		r = pass("nothing saved yet")
	}
	r.Details = []string{e.Store.Dir()}
	return r
}

func (e *examination) secrets(ctx context.Context) task.Result {
	h, err := e.Store.Health(ctx)
	if err != nil {
		return task.Result{Status: task.Skip, Finding: "the store cannot be used"}
	}
	if h.Key == "" {
		if err := e.Store.SecretsReady(ctx); err != nil {
			return bad(task.Warn, err, e.facts())
		}
		return pass("none yet; there is a place for it")
	}
	if err := e.Store.OpenKey(ctx); err != nil {
		return bad(task.Fail, err, e.facts())
	}
	return pass("%s, opened", map[string]string{"keychain": "in the keychain", "passphrase": "under a passphrase", "file": "in an identity file"}[h.Key])
}

func (e *examination) definitions(context.Context) task.Result {
	if damaged := e.Clouds.Damaged(); len(damaged) > 0 {
		return bad(task.Fail, damaged[0], e.facts())
	}
	return pass("%d clouds known", len(e.Clouds.List()))
}

func (e *examination) unusedSecrets(ctx context.Context) task.Result {
	refs, err := certs.Refs(ctx, e.Personal)
	if err == nil {
		e.orphans, err = e.Store.Orphans(ctx, refs)
	}
	switch {
	case err != nil:
		return bad(task.Warn, err, e.facts())
	case len(e.orphans) > 0:
		return said(task.Warn, fmt.Sprintf("%d saved secrets are used by nothing", len(e.orphans)), "A command ended half-way, or a profile was deleted by hand.", "$ c2conn doctor --clean")
	}
	return pass("none")
}

func (e *examination) unusedCertificates(ctx context.Context, entries []connections.Entry) task.Result {
	list, err := e.Personal.List(ctx)
	if err != nil {
		return bad(task.Warn, err, e.facts())
	}
	unused := 0
	for _, entry := range list {
		used := entry.Certificate == nil
		if used && entry.Err != nil {
			return bad(task.Fail, entry.Err, e.facts())
		}
		for _, c := range entries {
			for _, t := range []string{c.Connection.Credential.Thumbprint, c.Connection.Credential.ThumbprintSHA256} {
				used = used || c.Err != nil || t != "" && certs.Thumbprint(t).Matches(entry.Certificate)
			}
		}
		if !used {
			unused++
		}
	}
	r := pass("%d in the personal store", len(list))
	if unused > 0 {
		r.Finding += fmt.Sprintf(", %d used by no connection", unused) // no fault: they may be meant for one
		r.Details = []string{"See c2conn cert list; remove one with c2conn cert delete."}
	}
	return r
}

const (
	expirySoon = 30 * 24 * time.Hour
	longAgo    = 30 * 24 * time.Hour
	day        = 24 * time.Hour
)

// connection are the checks of one saved connection; their ids begin with its name.
func (e *examination) connection(entry connections.Entry) []task.Task {
	c := entry.Connection
	id := func(check string) string { return c.Name + "/" + check }
	if entry.Err != nil {
		return []task.Task{{ID: id("profile"), Title: "Profile", Run: func(context.Context) task.Result { return bad(task.Fail, entry.Err, e.facts()) }}}
	}
	list := []task.Task{
		// After the key was opened: nobody is asked twice.
		{ID: id("credential"), Title: "Credential", After: []string{"secrets"}, Limit: localLimit, Run: func(ctx context.Context) task.Result { return e.credential(ctx, c) }},
		{ID: id("expiry"), Title: "Expiry", Run: func(context.Context) task.Result { return e.expiry(c) }},
		{ID: id("verified"), Title: "Last verification", Run: func(context.Context) task.Result { return e.verified(c) }},
	}
	if c.Location != connections.OnPremises || e.Look == nil || e.Offline {
		return list
	}
	look := func(check, title, address string) {
		if strings.HasPrefix(address, "https:") { // over http nobody shows a certificate
			list = append(list, task.Task{ID: id(check), Title: title, Limit: networkLimit, Run: func(ctx context.Context) task.Result { return e.server(ctx, c, address) }})
		}
	}
	if c.Kind == connections.SharePoint {
		look("server", "Server", c.Endpoints.SharePoint)
		look("central-administration", "Central Administration", c.Endpoints.Admin)
		return list
	}
	look("server", "Server", c.Endpoints.EWS)
	return list
}

// server looks at the certificate of a server on the premises, without signing in.
func (e *examination) server(ctx context.Context, c connections.Connection, address string) task.Result {
	f := verify.FactsOf(c, cloud.Cloud{}, e.Clock.Now())
	seen, err := e.Look(ctx, c, address)
	switch {
	case err != nil:
		return bad(task.Fail, err, f)
	case !seen.Trusted && c.Pins[seen.Host] != "":
		return bad(task.Fail, &winauth.PinChangedError{Host: seen.Host, Want: c.Pins[seen.Host], Got: seen.SHA256, Certificate: seen.Leaf, Reason: seen.Reason}, f)
	case !seen.Trusted:
		return bad(task.Fail, &winauth.UntrustedError{Host: seen.Host, Certificate: seen.Leaf, SHA256: seen.SHA256, Reason: seen.Reason}, f)
	}
	left := int(seen.NotAfter.Sub(e.Clock.Now()) / day)
	if left < int(expirySoon/day) {
		return said(task.Warn, fmt.Sprintf("its certificate ends in %d days", left), "A renewed certificate that no authority vouches for is refused until somebody trusts it.",
			"When it is renewed: c2conn edit "+advice.ShellWord(c.Name)+" --set certificate-sha256=SHA256")
	}
	return pass("answers; certificate trusted, %d days left", left)
}

func (e *examination) credential(ctx context.Context, c connections.Connection) task.Result {
	in, err := e.Clouds.Find(c.Cloud)
	f := verify.FactsOf(c, in, e.Clock.Now())
	if err != nil && c.Location == connections.Online {
		return bad(task.Fail, err, f)
	}
	if c.Credential.Type == connections.TypeTicketCache {
		return pass("the Kerberos tickets of whoever is logged on")
	}
	if c.Location != connections.Online {
		if _, err := e.Store.Secret(ctx, c.Credential.Secret); err != nil {
			return bad(task.Fail, err, f)
		}
		return pass("password, there")
	}
	cred, err := entra.LoadCredential(ctx, e.Store, e.Personal, c)
	switch {
	case err != nil:
		return bad(task.Fail, err, f)
	case cred.Identity == nil:
		return pass("client secret, there")
	}
	return pass("certificate %s, with its key", cred.Identity.Thumbprint()[:12])
}

func (e *examination) expiry(c connections.Connection) task.Result {
	end := c.Credential.NotAfter
	if end.IsZero() {
		return task.Result{Status: task.Skip, Finding: "not known"}
	}
	left := end.Sub(e.Clock.Now())
	why := "Without a valid credential nothing that uses the connection can sign in."
	switch {
	case left <= 0:
		return said(task.Fail, "expired on "+end.UTC().Format(time.DateOnly), why, "$ c2conn rotate "+advice.ShellWord(c.Name))
	case left < expirySoon:
		return said(task.Warn, fmt.Sprintf("%d days left", int(left/day)), why, "$ c2conn rotate "+advice.ShellWord(c.Name))
	}
	return pass("%d days left", int(left/day))
}

func (e *examination) verified(c connections.Connection) task.Result {
	v := c.Verification
	next := "$ c2conn verify " + advice.ShellWord(c.Name)
	switch {
	case v.State == connections.StateFailed:
		return said(task.Warn, "failed on "+v.At.UTC().Format(time.DateOnly), "A check failed when the connection was verified last.", next)
	case v.State == connections.StateWaiting:
		return said(task.Warn, "waits for admin consent", "An administrator has not consented to the permissions yet.", "$ c2conn consent "+advice.ShellWord(c.Name))
	case v.State != connections.StateVerified:
		return said(task.Warn, "not verified", "Whether the connection works is not known.", next)
	case e.Clock.Now().Sub(v.At) > longAgo:
		return said(task.Warn, fmt.Sprintf("verified %d days ago", int(e.Clock.Now().Sub(v.At)/day)), "Much can change in a tenant in that time.", next)
	}
	return pass("verified on %s", v.At.UTC().Format(time.DateOnly))
}
