package verify_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/verify"
)

// outcome is what a fault must lead to. Checks not named pass.
type outcome struct {
	name, app, credential string
	faults                []string
	checks                string // "id=status …"
	class                 advice.Class
	state                 string
	look                  string // the check whose advice is looked at
	says                  string // and what it must contain
}

const (
	noGraph    = "graph.organization=skip graph.user=skip graph.groups=skip graph.mailbox-settings=skip"
	noTokens   = "token.graph=fail token.exchange=fail permissions=skip " + noGraph + " ews=skip"
	graphFails = "graph.organization=fail graph.user=fail graph.groups=fail graph.mailbox-settings=fail"
	bySecret   = connections.TypeClientSecret
	failed     = connections.StateFailed
	verified   = connections.StateVerified
	waiting    = connections.StateWaiting
)

func outcomes() []outcome {
	return []outcome{
		// Exchange blocks; Graph is judged all the same.
		{name: "ews blocked", faults: []string{"ews-blocked"}, checks: "ews=fail", class: 6, state: failed, look: "ews", says: "EwsAllowedAppIDs"},
		{name: "ews disabled", faults: []string{"ews-disabled"}, checks: "ews=fail", class: 6, state: failed, look: "ews", says: "-EwsEnabled $true"},
		{name: "ews disabled for the mailbox", faults: []string{"ews-mailbox-disabled"}, checks: "ews=fail", class: 6, state: failed, look: "ews", says: "Get-CASMailbox"},
		{name: "not in the list", app: sim.AppNotAllowed, checks: "ews=fail", class: 6, state: failed, look: "ews", says: "not on the organisation's list"},
		{name: "ews gone", faults: []string{"ews-gone"}, checks: "ews=fail", class: 5, state: failed, look: "ews", says: "2027-04-01"},
		{name: "ews 404", faults: []string{"ews-gone=404"}, checks: "ews=fail", class: 5, state: failed, look: "ews", says: "no EWS at this address"},
		{name: "ews busy", faults: []string{"ews-busy"}, state: verified},
		{name: "impersonation denied", faults: []string{"ews-impersonation-denied"}, checks: "ews=fail", class: 5, state: failed, look: "ews", says: "may not open the mailbox"},
		{name: "ews no mailbox", faults: []string{"ews-no-mailbox"}, checks: "ews=fail", class: 5, state: failed, look: "ews", says: "no mailbox"},
		{name: "ews no permission", faults: []string{"ews-no-permission"}, checks: "ews=fail", class: 5, state: failed, look: "ews", says: "full_access_as_app"},
		{name: "ews access denied", faults: []string{"ews-access-denied"}, checks: "ews=fail", class: 5, state: failed, look: "ews", says: "refused access"},
		{name: "ews other code", faults: []string{"ews-fault=ErrorMailboxStoreUnavailable"}, checks: "ews=fail", class: 5, state: failed, look: "ews", says: "cannot be reached at the moment"},
		{name: "exchange down", faults: []string{"outlook-down"}, checks: "ews=fail", class: 5, state: failed, look: "ews", says: "cannot answer"},
		{name: "deep xml", faults: []string{"deep-xml"}, checks: "ews=fail", class: 5, state: failed, look: "ews", says: "not one of Exchange Web Services"},
		{name: "xml bomb", faults: []string{"xml-bomb"}, checks: "ews=fail", class: 5, state: failed, look: "ews", says: "not one of Exchange Web Services"},

		// Permissions.
		{name: "missing role", faults: []string{"missing-role"}, checks: "permissions=fail graph.mailbox-settings=fail", class: 5, state: failed, look: "permissions", says: "MailboxSettings.ReadWrite"},
		{name: "missing roles of two services", app: sim.AppMissingRoles, checks: "permissions=fail graph.mailbox-settings=fail ews=fail", class: 5, state: failed, look: "permissions", says: "adminconsent?client_id="},
		{name: "no roles", app: sim.AppNoRoles, checks: "permissions=fail " + graphFails + " ews=fail", class: 4, state: waiting, look: "permissions", says: "admin consent is missing"},
		{name: "superfluous and powerful", faults: []string{"superfluous-role"}, checks: "permissions=warn", state: verified, look: "permissions", says: "Mail.ReadWrite"},
		{name: "superfluous and harmless", faults: []string{"superfluous-role=Mail.Read"}, state: verified},
		{name: "too much", app: sim.AppSuperfluousRoles, checks: "permissions=warn", state: verified, look: "permissions", says: "Exchange.ManageAsApp"},

		// Sign-in.
		{name: "tenant not found", faults: []string{"tenant-not-found"}, checks: noTokens, class: 3, state: failed, look: "token.graph", says: "knows no tenant"},
		{name: "wrong cloud", faults: []string{"wrong-cloud"}, checks: noTokens, class: 3, state: failed, look: "token.graph", says: "another cloud"},
		{name: "application not found", faults: []string{"app-not-found"}, checks: noTokens, class: 3, state: failed, look: "token.exchange", says: "Object ID"},
		{name: "no service principal", app: sim.AppNoServicePrincipal, checks: noTokens, class: 4, state: waiting, look: "token.graph", says: "service principal"},
		{name: "disabled", app: sim.AppDisabled, checks: noTokens, class: 3, state: failed, look: "token.graph", says: "switched off"},
		{name: "wrong secret", credential: bySecret, faults: []string{"wrong-secret"}, checks: noTokens, class: 3, state: failed, look: "token.graph", says: "secret is wrong"},
		{name: "secret id", credential: bySecret, faults: []string{"secret-id"}, checks: noTokens, class: 3, state: failed, look: "token.graph", says: "pasted the Secret ID"},
		{name: "expired secret", credential: bySecret, faults: []string{"expired-secret"}, checks: noTokens, class: 3, state: failed, look: "token.graph", says: "has expired"},
		{name: "wrong thumbprint", faults: []string{"wrong-thumbprint"}, checks: "certificate=fail " + noTokens, class: 3, state: failed, look: "token.graph", says: "not registered"},
		{name: "expired certificate", faults: []string{"expired-certificate"}, checks: "certificate=fail " + noTokens, class: 3, state: failed, look: "certificate", says: "expired on"},
		{name: "conditional access", faults: []string{"conditional-access"}, checks: noTokens, class: 6, state: failed, look: "token.graph", says: "Conditional Access"},
		{name: "no exchange", faults: []string{"no-exchange"}, checks: "token.exchange=fail ews=skip", class: 3, state: failed, look: "token.exchange", says: "Exchange Online"},
		{name: "login down", faults: []string{"login-down"}, checks: noTokens, class: 3, state: failed, look: "token.graph", says: "passing problem"},
		{name: "login gives a code nobody knows", faults: []string{"login-error=399999"}, checks: noTokens, class: 3, state: failed, look: "token.graph", says: "error?code=399999"},
		{name: "issuer of another host", faults: []string{"issuer-mismatch"}, checks: noTokens, class: 3, state: failed, look: "token.graph", says: "did not answer as Entra ID does"},

		// Graph.
		{name: "graph denied", faults: []string{"graph-denied=groups"}, checks: "graph.groups=fail", class: 5, state: failed, look: "graph.groups", says: "Group.Read.All"},
		{name: "graph no mailbox", faults: []string{"graph-no-mailbox"}, checks: "graph.mailbox-settings=fail", class: 5, state: failed, look: "graph.mailbox-settings", says: "no mailbox"},
		{name: "odata disabled", faults: []string{"graph-odata-disabled"}, checks: "graph.mailbox-settings=fail", class: 6, state: failed, look: "graph.mailbox-settings", says: "EwsApplicationAccessPolicy"},
		{name: "graph down", faults: []string{"graph-down"}, checks: graphFails, class: 5, state: failed, look: "graph.user", says: "cannot answer"},
		{name: "graph error", faults: []string{"graph-error=400,Request_Odd"}, checks: graphFails, class: 5, state: failed, look: "graph.user", says: "no advice of its own"},

		// Busy, slow and broken services.
		{name: "throttled", faults: []string{"throttle"}, state: verified},
		{name: "throttled, date", faults: []string{"throttle-date"}, state: verified},
		{name: "throttled, fraction", faults: []string{"throttle-fraction"}, state: verified},
		{name: "throttled for ever", faults: []string{"throttle-forever"}, checks: graphFails + " ews=fail", class: 5, state: failed, look: "graph.groups", says: "busy"},
		{name: "unavailable", faults: []string{"unavailable"}, state: verified},
		{name: "gateway time-out", faults: []string{"gateway-timeout"}, state: verified},
		{name: "deep json", faults: []string{"deep-json=graph"}, checks: graphFails, class: 5, state: failed, look: "graph.user", says: "not one of Microsoft Graph"},
		{name: "slow", faults: []string{"slow"}, state: verified},
		{name: "cut", faults: []string{"cut"}, state: verified},
		{name: "cut always", faults: []string{"cut-always=graph,outlook"}, checks: graphFails + " ews=fail", class: 5, state: failed, look: "ews", says: "cut in the middle"},
		{name: "challenge", faults: []string{"cae-challenge"}, state: verified},
		{name: "garbage", faults: []string{"garbage=graph,outlook"}, checks: graphFails + " ews=fail", class: 5, state: failed, look: "graph.user", says: "not one of Microsoft Graph"},
		{name: "proxy page", faults: []string{"proxy-page=graph,outlook"}, checks: graphFails + " ews=fail", class: 5, state: failed, look: "graph.user", says: "web page answered"},
		{name: "proxy page at the sign-in", faults: []string{"proxy-page"}, checks: noTokens, class: 3, state: failed, look: "token.graph", says: "did not answer as Entra ID does"},
		{name: "proxy denies", faults: []string{"proxy-denied=graph,outlook"}, checks: graphFails + " ews=fail", class: 5, state: failed, look: "ews", says: "web page answered"},
		{name: "redirect", faults: []string{"redirect=graph,outlook"}, checks: graphFails + " ews=fail", class: 5, state: failed, look: "ews", says: "did not follow"},
		{name: "empty", faults: []string{"empty=graph,outlook"}, checks: graphFails + " ews=fail", class: 5, state: failed, look: "graph.groups", says: "not one of Microsoft Graph"},
		{name: "huge", faults: []string{"huge=20,graph,outlook"}, checks: graphFails + " ews=fail", class: 5, state: failed, look: "graph.groups", says: "larger"},
		{name: "untrusted", faults: []string{"tls-untrusted"}, checks: noTokens, class: 5, state: failed, look: "token.graph", says: "does not trust"},
		{name: "expired server certificate", faults: []string{"tls-expired"}, checks: noTokens, class: 5, state: failed, look: "token.graph", says: "clock is wrong"},
		{name: "wrong server name", faults: []string{"tls-wrong-name"}, checks: noTokens, class: 5, state: failed, look: "token.graph", says: "another host"},
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, o := range outcomes() {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			s := stage(t, o.app, o.credential, o.faults...)
			o.hold(t, s, s.run(t, nil))
		})
	}
}

// hold compares a report with what it must be.
func (o outcome) hold(t *testing.T, s *scene, r verify.Report) {
	t.Helper()
	want := map[string]string{}
	for _, c := range verify.TitlesOf(s.target.Connection) {
		want[c.ID] = "pass"
	}
	if o.credential == bySecret {
		want["certificate"] = "skip"
	}
	for _, pair := range strings.Fields(o.checks) {
		id, status, _ := strings.Cut(pair, "=")
		want[id] = status
	}
	if !maps.Equal(r.Checks(), want) || r.Class != o.class || r.State != o.state {
		t.Errorf("want class %d, state %s, %v\ngot %s", o.class, o.state, o.checks, describe(r))
	}
	for _, one := range r.Results {
		if (one.Status == task.Fail || one.Status == task.Warn) && one.Advice == nil {
			t.Errorf("%s has no advice", one.ID)
		}
		if n := len([]rune(one.Finding)); n > 60 || n == 0 {
			t.Errorf("%s: finding of %d characters: %s", one.ID, n, one.Finding)
		}
	}
	if o.look == "" {
		return
	}
	a := result(t, r, o.look).Advice
	if a == nil {
		t.Fatal(describe(r))
	}
	text := strings.Join(append(slices.Clone(a.Next), a.What, a.Why, a.Link), "\n")
	if !strings.Contains(text, o.says) {
		t.Errorf("advice of %s lacks %q:\n%s", o.look, o.says, text)
	}
}
