package sim_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/c2conn/c2conn/internal/sim"
)

// probe is what a test of a fault can see.
type probe struct {
	t *testing.T
	w *sim.World
}

func (p probe) token(resource string) reply { return ask(p.t, p.w, resource+"/.default", nil) }

func (p probe) loginCode(want int) {
	p.t.Helper()
	if got := p.token(p.w.GraphURL()).code(p.t); got != want {
		p.t.Errorf("AADSTS%v, want %d", got, want)
	}
}

// graph and ews use a token made before the fault was switched on.
func (p probe) graph(path string) reply {
	p.t.Helper()
	return p.around(func(raw string) reply { return graph(p.t, p.w, path, raw) }, p.w.GraphURL())
}

func (p probe) ews() reply {
	p.t.Helper()
	return p.around(func(raw string) reply { return ews(p.t, p.w, soapBody("SmtpAddress", sim.Mailbox, inbox), raw) }, p.w.OutlookURL())
}

func (p probe) around(call func(string) reply, resource string) reply {
	p.t.Helper()
	r := p.token(resource)
	if r.status != 200 || !json.Valid([]byte(r.body)) {
		p.t.Fatalf("no token: %d %.200s", r.status, r.body)
	}
	raw, _ := r.json(p.t)["access_token"].(string)
	return call(raw)
}

func (p probe) graphIs(status int, code string) {
	p.t.Helper()
	r := p.graph("organization")
	if r.status != status || r.code(p.t) != code {
		p.t.Errorf("%d %s", r.status, r.body)
	}
}

func (p probe) mailboxIs(status int, code string) {
	p.t.Helper()
	if r := p.graph("users/" + sim.Mailbox + "/mailboxSettings"); r.status != status || r.code(p.t) != code {
		p.t.Errorf("%d %s", r.status, r.body)
	}
	if r := p.graph("organization"); r.status != 200 {
		p.t.Errorf("organization: %d", r.status)
	}
}

func (p probe) ewsIs(status int, code string) {
	p.t.Helper()
	r := p.ews()
	if r.status != status || ewsCode(p.t, r) != code {
		p.t.Errorf("%d %s %v", r.status, r.body, r.header)
	}
}

// busy expects a number of refusals with a Retry-After, then an answer.
func (p probe) busy(status, times int, check func(retryAfter string) bool) {
	p.t.Helper()
	raw, _ := p.token(p.w.GraphURL()).json(p.t)["access_token"].(string)
	for i := range times + 1 {
		r := graph(p.t, p.w, "organization", raw)
		switch {
		case i < times && (r.status != status || !check(r.header.Get("Retry-After"))):
			p.t.Errorf("answer %d: %d, Retry-After %q", i, r.status, r.header.Get("Retry-After"))
		case i == times && r.status != 200:
			p.t.Errorf("never over: %d", r.status)
		}
	}
}

func isDate(s string) bool {
	when, err := http.ParseTime(s)
	return err == nil && time.Until(when) <= time.Second
}

func (p probe) roles(resource string) string {
	p.t.Helper()
	r := p.token(resource)
	raw, _ := r.json(p.t)["access_token"].(string)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	if err != nil {
		p.t.Fatal(err)
	}
	return string(payload)
}

func (p probe) fails(kind any, resource string) {
	p.t.Helper()
	r := get(p.t, p.w, resource+"/common/discovery/keys")
	if r.err == nil {
		p.t.Fatalf("an answer came: %d", r.status)
	}
	if kind != nil && !errors.As(r.err, kind) {
		p.t.Errorf("%v", r.err)
	}
}

func (p probe) policy(reason string) {
	p.t.Helper()
	r := p.ews()
	if r.status != 403 || r.header.Get("X-EWS-Policy-Reason") != reason || r.body != "" || r.header.Get("x-ms-diagnostics") != "" {
		p.t.Errorf("%d %v %s", r.status, r.header, r.body)
	}
}

// faultChecks says for every fault what a client sees.
func faultChecks() map[string]func(probe) {
	page := func(status int) func(probe) {
		return func(p probe) {
			r := get(p.t, p.w, p.w.GraphURL()+"/v1.0/users")
			if r.status != status || !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") || !strings.Contains(r.body, "<html>") {
				p.t.Errorf("%d %v %s", r.status, r.header, r.body)
			}
		}
	}
	late := func(p probe) {
		if r := p.token(p.w.GraphURL()); r.status != 200 {
			p.t.Errorf("%d", r.status)
		}
	}
	return map[string]func(probe){
		"throttle":          func(p probe) { p.busy(429, 2, func(s string) bool { return s == "1" }) },
		"throttle-date":     func(p probe) { p.busy(429, 2, isDate) },
		"throttle-fraction": func(p probe) { p.busy(429, 2, func(s string) bool { return s == "0.128" }) },
		"throttle-forever": func(p probe) {
			for range 5 {
				p.graphIs(429, "TooManyRequests")
			}
		},
		"unavailable=graph": func(p probe) { p.busy(503, 2, isDate) },
		"gateway-timeout":   func(p probe) { p.busy(504, 1, func(s string) bool { return s == "" }) },
		"login-down":        func(p probe) { p.loginCode(90033) },
		"graph-down":        func(p probe) { p.graphIs(503, "serviceNotAvailable") },
		"outlook-down": func(p probe) {
			if r := p.ews(); r.status != 503 {
				p.t.Errorf("%d", r.status)
			}
		},
		"slow": late, "slow-login": late, "slow-graph": late, "slow-ews": late, // how late: TestDelays
		"hang": func(p probe) {
			ctx, cancel := context.WithTimeout(p.t.Context(), 50*time.Millisecond)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.w.LoginURL()+"/common/discovery/keys", nil)
			if err != nil {
				p.t.Fatal(err)
			}
			resp, err := p.w.Client().Do(req)
			if err == nil {
				_ = resp.Body.Close()
				p.t.Error("an answer came")
			}
		},
		"cut=outlook": func(p probe) {
			raw, _ := p.token(p.w.OutlookURL()).json(p.t)["access_token"].(string)
			body := soapBody("SmtpAddress", sim.Mailbox, inbox)
			if first := ews(p.t, p.w, body, raw); first.err == nil {
				p.t.Error("the first answer was whole")
			}
			if second := ews(p.t, p.w, body, raw); second.status != 200 {
				p.t.Errorf("second: %d %v", second.status, second.err)
			}
		},
		"cut-always": func(p probe) {
			for range 3 {
				p.fails(nil, p.w.LoginURL())
			}
		},
		"garbage": func(p probe) {
			if r := p.token(p.w.GraphURL()); r.status != 200 || json.Valid([]byte(r.body)) {
				p.t.Errorf("%d %s", r.status, r.body)
			}
		},
		"proxy-page": page(200), "proxy-denied": page(403),
		"redirect": func(p probe) {
			client := p.w.Client()
			client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			if r := send(p.t, client, http.MethodGet, p.w.GraphURL(), "", nil); r.status != 302 || !strings.Contains(r.header.Get("Location"), ".invalid/") {
				p.t.Errorf("%d %v", r.status, r.header)
			}
		},
		"empty": func(p probe) {
			if r := p.token(p.w.GraphURL()); r.status != 200 || r.body != "" {
				p.t.Errorf("%d %s", r.status, r.body)
			}
		},
		"hostile-text": func(p probe) {
			name, _ := p.graph("organization").json(p.t)["value"].([]any)[0].(map[string]any)["displayName"].(string)
			text, _ := ask(p.t, p.w, "x/.default", nil).json(p.t)["error_description"].(string)
			for _, s := range []string{name, text} {
				if !strings.Contains(s, "\x1b]0;") || !strings.Contains(s, "\u202e") || len(s) < 10_000 {
					p.t.Errorf("harmless: %.100q", s)
				}
			}
			r := p.ews()
			if err := xml.Unmarshal([]byte(r.body), new(struct{})); err != nil {
				p.t.Errorf("the answer is no XML: %v", err)
			}
			if !strings.ContainsFunc(r.body, func(c rune) bool { return c == 0x9b || unicode.Is(unicode.Bidi_Control, c) }) {
				p.t.Error("EWS is harmless")
			}
		},
		"huge=2": func(p probe) {
			if r := p.token(p.w.GraphURL()); len(r.body) < 2<<20 || !json.Valid([]byte(r.body)) {
				p.t.Errorf("%d bytes", len(r.body))
			}
		},
		"deep-xml": func(p probe) {
			if r := p.ews(); strings.Count(r.body, "<a>") != 100_000 {
				p.t.Errorf("%.100s", r.body)
			}
		},
		"xml-bomb": func(p probe) {
			if r := p.ews(); !strings.Contains(r.body, "<!ENTITY a9") {
				p.t.Errorf("%.100s", r.body)
			}
		},
		"deep-json=graph": func(p probe) {
			if r := p.graph("organization"); strings.Count(r.body, "[") != 50_000 {
				p.t.Errorf("%.100s", r.body)
			}
		},
		"tls-untrusted":     func(p probe) { p.fails(nil, p.w.LoginURL()) },
		"tls-expired":       func(p probe) { p.fails(nil, p.w.LoginURL()) },
		"tls-wrong-name":    func(p probe) { p.fails(nil, p.w.LoginURL()) },
		"login-error=50126": func(p probe) { p.loginCode(50126) },
		"tenant-not-found":  func(p probe) { p.loginCode(90002) },
		"wrong-cloud":       func(p probe) { p.loginCode(90038) },
		"app-not-found":     func(p probe) { p.loginCode(700016) },

		"no-service-principal": func(p probe) { p.loginCode(7000229) },
		"disabled-app":         func(p probe) { p.loginCode(7000112) },
		"wrong-secret":         func(p probe) { p.loginCode(7000215) },
		"secret-id": func(p probe) {
			p.loginCode(7000215)
			if p.w.Secret != p.w.SecretID {
				p.t.Error("the value is handed out")
			}
		},
		"expired-secret":      func(p probe) { p.loginCode(7000222) },
		"expired-certificate": func(p probe) { p.byCertificate(700027, "The key used is expired.") },
		"wrong-thumbprint":    func(p probe) { p.byCertificate(700027, "The key was not found.") },
		"conditional-access":  func(p probe) { p.loginCode(53003) },
		"no-exchange": func(p probe) {
			if got := p.token(p.w.OutlookURL()).code(p.t); got != 500011 {
				p.t.Errorf("%v", got)
			}
			p.graphIsFine()
		},
		"clock-skew": func(p probe) { p.byCertificate(700024, "Current time:") },
		"replication-delay": func(p probe) {
			for _, resource := range []string{p.w.GraphURL(), p.w.OutlookURL()} {
				for range 2 {
					if got := p.token(resource).code(p.t); got != 700016 {
						p.t.Errorf("AADSTS%v", got)
					}
				}
				if got := p.roles(resource); strings.Contains(got, "roles") {
					p.t.Errorf("roles at once: %s", got)
				}
				if got := p.roles(resource); !strings.Contains(got, "roles") {
					p.t.Errorf("roles never: %s", got)
				}
			}
		},
		"issuer-mismatch": func(p probe) {
			if r := get(p.t, p.w, p.w.LoginURL()+"/"+p.w.TenantID+"/v2.0/.well-known/openid-configuration"); !strings.HasPrefix(r.json(p.t)["issuer"].(string), "https://login.example.invalid/") {
				p.t.Error(r.body)
			}
		},
		"no-roles": func(p probe) {
			if got := p.roles(p.w.GraphURL()); strings.Contains(got, "roles") {
				p.t.Error(got)
			}
			p.graphIs(403, "Authorization_RequestDenied")
		},
		"missing-role": func(p probe) {
			if got := p.roles(p.w.GraphURL()); strings.Contains(got, "MailboxSettings") || !strings.Contains(got, "Directory.Read.All") {
				p.t.Error(got)
			}
		},
		"superfluous-role": func(p probe) {
			if got := p.roles(p.w.GraphURL()); !strings.Contains(got, "Mail.ReadWrite") {
				p.t.Error(got)
			}
			if got := p.roles(p.w.OutlookURL()); strings.Contains(got, "Mail.ReadWrite") {
				p.t.Error(got)
			}
		},
		"cae-challenge": func(p probe) { p.answersChallenge() },
		"graph-denied=groups": func(p probe) {
			if r := p.graph("groups"); r.status != 403 {
				p.t.Errorf("%d", r.status)
			}
			p.graphIsFine()
		},
		"graph-no-mailbox":     func(p probe) { p.mailboxIs(404, "MailboxNotEnabledForRESTAPI") },
		"graph-odata-disabled": func(p probe) { p.mailboxIs(403, "ErrorAccessDenied") },
		"user-not-found": func(p probe) {
			if r := p.graph("users/" + sim.Mailbox); r.status != 404 {
				p.t.Errorf("%d", r.status)
			}
		},
		"graph-error=500,generalException": func(p probe) { p.graphIs(500, "generalException") },
		"ews-blocked":                      func(p probe) { p.policy("EWS is blocked by policy for this user or tenant"); p.graphIsFine() },
		"ews-disabled":                     func(p probe) { p.policy("EWS is disabled for this user or tenant"); p.graphIsFine() },
		"ews-mailbox-disabled":             func(p probe) { p.policy("EWS is disabled for this user or tenant") },
		"ews-gone": func(p probe) {
			if r := p.ews(); r.status != 410 {
				p.t.Errorf("%d", r.status)
			}
		},
		"ews-busy": func(p probe) {
			for range 2 {
				r := p.ews()
				if r.status != 500 || ewsCode(p.t, r) != "ErrorServerBusy" || !strings.Contains(r.body, `Name="BackOffMilliseconds">300<`) {
					p.t.Errorf("%d %s", r.status, r.body)
				}
			}
			p.ewsIs(200, "NoError")
		},
		"ews-impersonation-denied": func(p probe) { p.ewsIs(500, "ErrorImpersonateUserDenied") },
		"ews-no-mailbox":           func(p probe) { p.ewsIs(500, "ErrorNonExistentMailbox") },
		"ews-no-permission": func(p probe) {
			if r := p.ews(); r.status != 403 || !strings.HasPrefix(r.header.Get("x-ms-diagnostics"), `2000008;reason="The token contains not enough scope`) {
				p.t.Errorf("%d %v", r.status, r.header)
			}
		},
		"ews-not-listed":                       probe.notListedForEWS,
		"replication=20s,0.9":                  probe.replicates,
		"registration-forbidden":               probe.forbidsRegistration,
		"lost-answer=POST /v1.0/applications":  probe.losesAnswer,
		"ews-access-denied":                    func(p probe) { p.ewsIs(200, "ErrorAccessDenied") },
		"ews-fault=ErrorMailboxMoveInProgress": func(p probe) { p.ewsIs(500, "ErrorMailboxMoveInProgress") },
		"ews-error=ErrorTimeoutExpired":        func(p probe) { p.ewsIs(200, "ErrorTimeoutExpired") },
	}
}

func (p probe) graphIsFine() {
	p.t.Helper()
	if r := p.graph("organization"); r.status != 200 {
		p.t.Errorf("%d %s", r.status, r.body)
	}
}

func (p probe) byCertificate(code int, text string) {
	p.t.Helper()
	a, _ := p.w.App(sim.AppBackup)
	r := ask(p.t, p.w, p.w.GraphURL()+"/.default", withAssertion(p.t, p.w, a, nil))
	if r.code(p.t) != code || !strings.Contains(r.body, text) {
		p.t.Errorf("%s", r.body)
	}
}

// answersChallenge plays continuous access evaluation through, on both services.
func (p probe) answersChallenge() {
	p.t.Helper()
	for _, resource := range []string{p.w.GraphURL(), p.w.OutlookURL()} {
		call := func(raw string) reply {
			if resource == p.w.GraphURL() {
				return graph(p.t, p.w, "organization", raw)
			}
			return ews(p.t, p.w, soapBody("SmtpAddress", sim.Mailbox, inbox), raw)
		}
		first := p.around(call, resource)
		_, rest, _ := strings.Cut(first.header.Get("WWW-Authenticate"), `error="insufficient_claims", claims="`)
		claims, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(rest, `"`))
		if first.status != 401 || err != nil || !json.Valid(claims) {
			p.t.Fatalf("%d %v", first.status, first.header)
		}
		if again := p.around(call, resource); again.status != 401 {
			p.t.Errorf("a token that was not asked for with the claims is taken: %d", again.status)
		}
		r := ask(p.t, p.w, resource+"/.default", map[string]string{"claims": string(claims)})
		raw, _ := r.json(p.t)["access_token"].(string)
		if answer := call(raw); answer.status != 200 {
			p.t.Errorf("the answered challenge is refused: %d %s", answer.status, answer.body)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	checked := map[string]bool{}
	checks := faultChecks()
	maps.Copy(checks, signInFaultChecks())
	maps.Copy(checks, publicFolderChecks())
	maps.Copy(checks, sharePointFaultChecks())
	for spec, check := range checks {
		name, _, _ := strings.Cut(spec, "=")
		checked[name] = true
		t.Run(spec, func(t *testing.T) {
			t.Parallel()
			check(probe{t, start(t, spec)})
		})
	}
	for _, c := range registrationFaults() { // see TestRegistrationFaults
		name, _, _ := strings.Cut(c.faults, "=")
		checked[name] = true
	}
	checked["parallel"] = true // see TestParallelFault
	for _, f := range sim.Faults() {
		if !checked[f.Name] {
			t.Errorf("nothing is known of the fault %s", f.Name)
		}
		if f.Help == "" || strings.Contains(f.Help, "\n") {
			t.Errorf("%s has no line of help", f.Name)
		}
	}
}

func TestFaultsOnAndOff(t *testing.T) {
	t.Parallel()
	w := start(t)
	p := probe{t, w}
	p.graphIsFine()
	if err := w.SetFault("graph-down"); err != nil {
		t.Fatal(err)
	}
	p.graphIs(503, "serviceNotAvailable")
	w.ClearFault("graph-down")
	p.graphIsFine()
	for _, spec := range []string{"no-roles", "disabled-app"} {
		if err := w.SetFault(spec); err != nil {
			t.Fatal(err)
		}
	}
	p.loginCode(7000112)
	w.ClearFault("")
	p.graphIsFine()
}

func TestFaultArguments(t *testing.T) {
	t.Parallel()
	for spec, good := range map[string]bool{
		"throttle": true, "throttle=250ms": true, "throttle=3,graph": true, "throttle=outlook,1s,1": true, "missing-role=A,B": true, "login-error=53003": true, "clock-skew=2h": true,
		"nonsense": false, "": false, "throttle=": false, "ews-blocked=1": false, "sites=5000": true, "sites=0": false, "sites=many": false, "sites": false, "login-error": false, "throttle=5 parsecs": false, "slow=1x": false,
		"user-role=none": true, "user-role=Global Reader,exchangeadministrator": true, "user-role=f2ef992c-3afb-46b9-b7cf-a126ee74c451": true, "user-role=Nonsense": false, "user-role=Global Reader,Nonsense": false,
	} {
		_, err := sim.Start(sim.Options{Now: time.Now, Keys: sharedKeys(), Listen: "nowhere", Faults: []string{spec}})
		if errors.Is(err, sim.ErrFault) == good {
			t.Errorf("%q: %v", spec, err)
		}
	}
	w := start(t, "throttle=7s,1,graph")
	if r := (probe{t, w}).graph("organization"); r.header.Get("Retry-After") != "7" {
		t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
	}
}

// TestDelays looks at the waits that a world asks for; none is really waited.
func TestDelays(t *testing.T) {
	t.Parallel()
	waits := make(chan time.Duration, 100)
	w := startWith(t, sim.Options{RTT: 80 * time.Millisecond, Faults: []string{"slow-graph=2s"},
		Sleep: func(_ context.Context, d time.Duration) error { waits <- d; return nil }})
	probe{t, w}.graphIsFine()
	if login, graph := <-waits, <-waits; login != 80*time.Millisecond || graph != 2080*time.Millisecond {
		t.Errorf("login %v, Graph %v", login, graph)
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	w := startWith(t, sim.Options{Log: &log})
	raw := token(t, w, sim.AppBackup, w.GraphURL())
	for _, path := range []string{"organization", "myorganization/groups?$top=1"} {
		graph(t, w, path, raw)
	}
	ews(t, w, soapBody("SmtpAddress", sim.Mailbox, inbox), token(t, w, sim.AppBackup, w.OutlookURL()))
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 5 || len(w.Requests()) != 5 {
		t.Fatalf("%d lines, %d requests", len(lines), len(w.Requests()))
	}
	var urls []string
	for _, line := range lines {
		var e sim.Exchange
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Name == "" || e.Status != 200 || e.Conn == 0 || e.EndMS < e.StartMS || e.StartMS < 0 {
			t.Errorf("%s", line)
		}
		urls = append(urls, e.Method+" "+e.URL)
	}
	want := []string{"POST https://login.microsoftonline.com/" + w.TenantID + "/oauth2/v2.0/token", "GET https://graph.microsoft.com/v1.0/organization",
		"GET https://graph.microsoft.com/v1.0/groups?$top=1", "POST https://login.microsoftonline.com/" + w.TenantID + "/oauth2/v2.0/token", "POST https://outlook.office365.com/EWS/Exchange.asmx"}
	for i := range want {
		if urls[i] != want[i] {
			t.Errorf("%s, want %s", urls[i], want[i])
		}
	}
	var text string
	last := w.Requests()[4]
	if json.Unmarshal(last.Out, &text) != nil || !strings.HasPrefix(text, "<?xml") || json.Unmarshal(last.Body, &text) != nil {
		t.Errorf("EWS is not recorded as text: %.100s", last.Out)
	}
}

func TestWorlds(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"0.0.0.0:0", "192.0.2.1:443", "example.com:443", "127.0.0.1"} {
		if w, err := sim.Start(sim.Options{Now: time.Now, Keys: sharedKeys(), Listen: bad}); err == nil {
			_ = w.Close()
			t.Errorf("listens on %s", bad)
		}
	}
	one := startWith(t, sim.Options{Listen: "127.0.0.1:0"})
	if one.LoginURL() != one.GraphURL() || !strings.Contains(string(one.CloudYAML()), "authority: https://login.microsoftonline.com\n") {
		t.Errorf("%s", one.CloudYAML())
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {one.ClientID}, "client_secret": {one.Secret}, "scope": {"https://graph.microsoft.us/.default"}}.Encode()
	issued := send(t, one.PublicClient(), http.MethodPost, "https://login.microsoftonline.us/contoso.com/oauth2/v2.0/token", form, map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
	raw, _ := issued.json(t)["access_token"].(string)
	bearer := map[string]string{"Authorization": "Bearer " + raw}
	if r := send(t, one.PublicClient(), http.MethodGet, "https://graph.microsoft.us/v1.0/organization", "", bearer); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := send(t, one.PublicClient(), http.MethodGet, "https://graph.microsoft.com/v1.0/organization", "", bearer); r.status != 401 {
		t.Errorf("a token of another cloud: %d", r.status)
	}
	for path, status := range map[string]int{"/v1.0/users": 401, "/EWS/Exchange.asmx": 401, "/_api/web": 404, "/common/v2.0/.well-known/openid-configuration": 200} {
		if r := get(t, one, one.LoginURL()+path); r.status != status {
			t.Errorf("%s: %d", path, r.status)
		}
	}
	again := start(t)
	other := startWith(t, sim.Options{})
	if again.TenantID != other.TenantID || again.Secret != other.Secret || len(again.Secret) != 40 || strconv.Quote(again.Secret) != `"`+again.Secret+`"` {
		t.Errorf("the seed does not decide: %s %s", again.TenantID, other.TenantID)
	}
}
