package sim

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is a fault of the catalogue.
type Fault struct {
	Name string
	Args string // what may follow "NAME=", empty when nothing
	Help string // one line
}

// faultKind is a catalogue entry with its defaults.
type faultKind struct {
	Fault
	on     []service // where it strikes unless the argument names services
	count  int       // how often it strikes for each path; 0: always
	wait   time.Duration
	words  []string
	chance float64 // how likely it strikes, where it is not certain

	known func(word string) bool // which words mean something; nil: all
}

const scopeArg = "[login|graph|outlook|sharepoint]…"

// ErrFault marks a fault that is unknown or whose argument is wrong.
var ErrFault = errors.New("fault")

// Faults lists the catalogue, sorted by name.
func Faults() []Fault {
	var list []Fault
	for _, k := range faultKinds() {
		list = append(list, k.Fault)
	}
	slices.SortFunc(list, func(a, b Fault) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func faultKinds() []faultKind {
	login, graph, outlook := []service{serviceLogin}, []service{serviceGraph}, []service{serviceOutlook}
	api := []service{serviceGraph, serviceOutlook, serviceSharePoint}
	all := services()
	kind := func(name, args, help string, on []service) faultKind {
		return faultKind{Fault: Fault{name, args, help}, on: on}
	}
	times := func(k faultKind, count int, wait time.Duration) faultKind { k.count, k.wait = count, wait; return k }
	known := func(k faultKind, is func(word string) bool) faultKind { k.known = is; return k }
	words := func(k faultKind, w ...string) faultKind { k.words = w; return k }
	busy := "[WAIT][,TIMES]," + scopeArg
	return append(signInFaults(), []faultKind{ // see accounts.go
		// Busy and broken services.
		times(kind("throttle", busy, "429 with Retry-After in seconds, twice for each path, then the answer", api), 2, time.Second),
		times(kind("throttle-date", busy, "429 with Retry-After as an HTTP date, twice for each path", api), 2, time.Second),
		times(kind("throttle-fraction", busy, "429 with Retry-After \"0.128\", twice for each path", api), 2, 128*time.Millisecond),
		times(kind("throttle-forever", "[WAIT],"+scopeArg, "429 with Retry-After, always", api), 0, time.Second),
		// Microsoft Graph limits requests in flight for each app and mailbox ("four concurrent
		// requests"); here the limit is on all of a tenant, which is stricter.
		// Source: learn.microsoft.com/graph/throttling-limits#outlook-service-limits.
		times(kind("parallel", busy, "429 with Retry-After while the tenant is answering more than 8 requests, or TIMES", api), 8, time.Second),
		times(kind("unavailable", busy, "503 with Retry-After as an HTTP date, twice for each path", all), 2, time.Second),
		times(kind("gateway-timeout", busy, "504 without Retry-After, once for each path", api), 1, 0),
		kind("login-down", "", "Entra ID answers 503 (AADSTS90033), always", login),
		kind("graph-down", "", "Graph answers 503, always", graph),
		kind("outlook-down", "", "Exchange answers 503, always", outlook),
		times(kind("slow", "[WAIT],"+scopeArg, "every answer comes 3 s late", all), 0, 3*time.Second),
		times(kind("slow-login", "[WAIT]", "Entra ID answers 3 s late", login), 0, 3*time.Second),
		times(kind("slow-graph", "[WAIT]", "Graph answers 3 s late", graph), 0, 3*time.Second),
		times(kind("slow-ews", "[WAIT]", "Exchange answers 3 s late", outlook), 0, 3*time.Second),
		kind("hang", scopeArg, "no answer at all; the connection stays open", all),
		times(kind("cut", "[TIMES],"+scopeArg, "the connection is cut in the middle of the answer, once for each path", all), 1, 0),
		kind("cut-always", scopeArg, "the connection is cut in the middle of every answer", all),
		kind("garbage", scopeArg, "answers are broken JSON or XML", all),
		kind("proxy-page", scopeArg, "a proxy's HTML page with status 200 instead of every answer", all),
		kind("proxy-denied", scopeArg, "a proxy's HTML page with status 403 instead of every answer", all),
		kind("redirect", scopeArg, "302 to a captive portal instead of every answer", all),
		kind("empty", scopeArg, "status 200 and no body", all),
		kind("hostile-text", scopeArg, "terminal escapes, bidi overrides, newlines and very long text in every text", all),
		kind("huge", "[MEGABYTES],"+scopeArg, "answers of 64 MB", all),
		kind("deep-xml", "", "EWS answers with elements nested 100,000 deep", outlook),
		kind("xml-bomb", "", "EWS answers with entities that grow a billionfold", outlook),
		kind("deep-json", scopeArg, "JSON answers with arrays nested 100,000 deep", []service{serviceLogin, serviceGraph, serviceSharePoint}),
		// TLS.
		kind("tls-untrusted", "", "certificates of an authority that nobody trusts", all),
		kind("tls-expired", "", "an expired server certificate", all),
		kind("tls-wrong-name", "", "a server certificate for another host", all),
		// Sign-in.
		kind("login-error", "CODE", "the token endpoint answers AADSTS CODE", login),
		kind("tenant-not-found", "", "AADSTS90002 for every tenant", login),
		kind("wrong-cloud", "", "AADSTS90038: the tenant belongs to another national cloud", login),
		kind("app-not-found", "", "AADSTS700016 for every client id", login),
		kind("no-service-principal", "", "AADSTS7000229", login),
		kind("disabled-app", "", "AADSTS7000112", login),
		kind("wrong-secret", "", "the secret handed out is not the registered one (AADSTS7000215)", login),
		kind("secret-id", "", "the secret's id is handed out instead of its value (AADSTS7000215)", login),
		kind("expired-secret", "", "the registered secret has expired (AADSTS7000222)", login),
		kind("expired-certificate", "", "the registered certificate has expired (AADSTS700027)", login),
		kind("wrong-thumbprint", "", "the certificate handed out is not the registered one (AADSTS700027)", login),
		kind("conditional-access", "", "AADSTS53003", login),
		kind("no-exchange", "", "the tenant has no Exchange Online (AADSTS500011)", login),
		times(kind("clock-skew", "[DURATION]", "the services' clock is 20 minutes ahead (AADSTS700024)", all), 0, 20*time.Minute),
		times(kind("replication-delay", "[TIMES]", "a new registration: AADSTS700016 twice for each resource, then a token without roles, then all is well", login), 2, 0),
		kind("issuer-mismatch", "", "the metadata names an issuer of another host", login),
		// Permissions.
		kind("no-roles", "", "tokens without a roles claim: nothing is consented", login),
		words(kind("missing-role", "ROLE[,ROLE]…", "tokens lack MailboxSettings.ReadWrite, or the roles named", login), "MailboxSettings.ReadWrite"),
		words(kind("superfluous-role", "ROLE[,ROLE]…", "Graph tokens also hold Mail.ReadWrite, or the roles named", login), "Mail.ReadWrite"),
		kind("cae-challenge", scopeArg, "401 with a claims challenge for every token that was not asked for with those claims", api),
		// Graph.
		kind("graph-denied", "[SEGMENT]…", "403 Authorization_RequestDenied for every path, or for those that hold a segment", graph),
		kind("graph-no-mailbox", "", "404 MailboxNotEnabledForRESTAPI for mailbox settings", graph),
		kind("graph-odata-disabled", "", "403 \"Access to OData is disabled.\" for mailbox settings", graph),
		kind("user-not-found", "", "404 Request_ResourceNotFound for every user", graph),
		kind("graph-error", "STATUS[,CODE]", "every Graph answer is this error", graph),
		// Registrations.
		{Fault: Fault{"replication", "[DURATION][,CHANCE]", "after each write every replica lags up to 20 s, with a chance of 0.5: 404, misleading 400 and 403, AADSTS700016, 7000229, 700027, tokens without roles"},
			on: all, wait: 20 * time.Second, chance: 0.5},
		times(kind("conflict", "[TIMES]", "409 Directory_ConcurrencyViolation, once for each path that is written to", graph), 1, 0),
		times(kind("concurrent-requests", "[TIMES]", "503 with the same text, once for each path that is written to", graph), 1, 0),
		words(times(kind("lost-answer", "PATHPART[,TIMES]", "a write whose method and path hold PATHPART (\"POST /v1.0/app\") is carried out, but the connection breaks before the answer, once for each path", graph), 1, 0)),
		kind("no-upsert", "[STATUS]", "PATCH /applications(uniqueName='…') is refused with 400", graph),
		kind("no-batch", "[STATUS]", "$batch is refused with 400", graph),
		times(kind("cert-lifetime", "[DURATION]", "the tenant's policy allows certificates for 180d only (CredentialInvalidLifetimeAsPerAppPolicy)", graph), 0, 180*24*time.Hour),
		kind("secrets-forbidden", "", "the tenant's policy forbids client secrets (CredentialTypeNotAllowedAsPerAppPolicy)", graph),
		kind("policy-unreadable", "", "403 for the app management policy", graph),
		kind("registration-forbidden", "", "users without an administrator's role must not register applications (403)", graph),
		kind("quota", "", "403 Directory_QuotaExceeded for new applications", graph),
		words(kind("resource-missing", "[exchange|sharepoint|APPID]…", "the tenant has no service principal of Exchange Online, or of the service named", graph), "exchange"),
		kind("write-denied", "[SEGMENT]…", "403 Authorization_RequestDenied for every write, or for those whose method and path hold a segment", graph),
		// SharePoint Online.
		known(words(kind("sites", "N", "the tenant has N site collections instead of 60", []service{serviceGraph, serviceSharePoint})), func(word string) bool { return atoi(word) > 0 && atoi(word) <= 200_000 }),
		kind("multi-geo", "", "the tenant has satellite locations: contosoeur and contosoapc", []service{serviceGraph, serviceSharePoint}),
		kind("sharepoint-down", "", "SharePoint answers 503, always; so does Graph for sites", []service{serviceSharePoint}),
		kind("sharepoint-denied", "", "403 System.UnauthorizedAccessException for every site", []service{serviceSharePoint}),
		kind("no-sharepoint", "", "the tenant has no SharePoint Online (AADSTS500011, 404; Graph: no SPO license)", all),
		words(kind("site-locked", "[403|423]", "the root site is locked: 423", []service{serviceSharePoint}), "423"),
		kind("admin-denied", "", "the admin centre refuses: System.UnauthorizedAccessException", []service{serviceSharePoint}),
		kind("tenant-renamed", "", "the tenant is called contosogroup in SharePoint now; the old hosts answer 308", []service{serviceGraph, serviceSharePoint}),
		kind("ews-not-listed", "", "new applications are not put into EwsAllowedAppIDs: EWS answers 403 to them", outlook),
		// EWS.
		kind("ews-blocked", "", "403: the client id is not in EwsAllowedAppIDs", outlook),
		kind("ews-disabled", "", "403: EwsEnabled is false for the organisation", outlook),
		kind("ews-mailbox-disabled", "", "403: EwsEnabled is false for the mailbox", outlook),
		words(kind("ews-gone", "[404|410]", "410: EWS has been retired", outlook), "410"),
		times(kind("ews-busy", "[WAIT][,TIMES]", "ErrorServerBusy with BackOffMilliseconds, twice", outlook), 2, 300*time.Millisecond),
		kind("ews-impersonation-denied", "", "ErrorImpersonateUserDenied", outlook),
		kind("ews-no-mailbox", "", "ErrorNonExistentMailbox", outlook),
		kind("ews-no-permission", "", "403 with x-ms-diagnostics 2000008", outlook),
		kind("ews-access-denied", "", "ErrorAccessDenied as a response message with status 200", outlook),
		kind("ews-fault", "CODE", "a SOAP fault with this response code", outlook),
		kind("ews-error", "CODE", "a response message with this response code and status 200", outlook),
		kind("public-folders-none", "", "the tenant has no public folders (ErrorNoPublicFolderServerAvailable)", outlook),
		kind("public-folders-not-owner", "", "nobody owns the root of the public folders", outlook),
		kind("public-folders-rights-unknown", "", "the root tells neither EffectiveRights nor PermissionSet", outlook),
		kind("public-folders-error", "CODE", "opening the root fails with this response code", outlook),
	}...)
}

// activeFault is a fault that is switched on.
type activeFault struct {
	on     []service
	count  int
	wait   time.Duration
	words  []string
	chance float64

	mu   sync.Mutex
	done map[string]int
}

// has reports whether the fault strikes this service.
func (f *activeFault) has(s service) bool { return slices.Contains(f.on, s) }

// take reports whether the fault strikes now, and counts it for the key.
func (f *activeFault) take(key string) bool {
	if f.count == 0 {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done[key] >= f.count {
		return false
	}
	f.done[key]++
	return true
}

// parseFault reads "NAME[=ARG[,ARG]…]": a duration, a number, services and words, in any order.
func parseFault(spec string) (string, *activeFault, error) {
	name, args, given := strings.Cut(spec, "=")
	name = strings.TrimSpace(name)
	i := slices.IndexFunc(faultKinds(), func(k faultKind) bool { return k.Name == name })
	if i < 0 {
		return "", nil, fmt.Errorf("unknown %w %q (c2conn-sim faults lists them)", ErrFault, name)
	}
	kind := faultKinds()[i]
	f := &activeFault{on: kind.on, count: kind.count, wait: kind.wait, words: kind.words, chance: kind.chance, done: map[string]int{}}
	var on []service
	var words []string
	for arg := range strings.SplitSeq(args, ",") {
		arg = strings.TrimSpace(arg)
		if arg == "" {
			continue
		}
		if kind.Args == "" {
			return "", nil, fmt.Errorf("%w %s takes no argument, got %q", ErrFault, name, arg)
		}
		number, err := strconv.Atoi(arg)
		share, shareErr := strconv.ParseFloat(arg, 64)
		switch {
		case strings.Contains(kind.Args, "CHANCE") && shareErr == nil && share >= 0 && share <= 1:
			f.chance = share
		case slices.Contains(services(), service(arg)) && strings.Contains(kind.Args, scopeArg):
			on = append(on, service(arg))
		case err == nil && number >= 0 && strings.Contains(kind.Args, "TIMES"):
			f.count = number
		case strings.ContainsAny(arg[:1], "0123456789") && (strings.Contains(kind.Args, "WAIT") || strings.Contains(kind.Args, "DURATION")):
			if f.wait, err = parseSpan(arg); err != nil {
				return "", nil, fmt.Errorf("%w %s: %q is no duration such as 500ms", ErrFault, name, arg)
			}
		case kind.known != nil && !kind.known(arg):
			return "", nil, fmt.Errorf("%w %s does not know %q (%s)", ErrFault, name, arg, kind.Help)
		default:
			words = append(words, arg)
		}
	}
	if on != nil {
		f.on = on
	}
	if words != nil {
		f.words = words
	}
	if !strings.HasPrefix(kind.Args, "[") && kind.Args != "" && len(f.words) == 0 {
		return "", nil, fmt.Errorf("%w %s needs an argument: %s=%s", ErrFault, name, name, kind.Args)
	}
	if given && strings.TrimSpace(args) == "" {
		return "", nil, fmt.Errorf("%w %s: nothing after the equals sign", ErrFault, name)
	}
	return name, f, nil
}

// parseSpan reads a duration, in whole days too: "180d".
func parseSpan(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	return time.ParseDuration(text)
}

// names reports whether one of the fault's words is part of the text.
func (f *activeFault) names(text string) bool {
	return slices.ContainsFunc(f.words, func(word string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(word)) })
}

// loses reports whether the answer to a write, or to a batch with one, is lost.
func (f *activeFault) loses(r *request) bool {
	for _, one := range append([]string{r.Method + " " + r.URL.Path}, r.touched...) {
		if !strings.HasPrefix(one, http.MethodGet+" ") && f.names(one) && f.take(one) {
			return true
		}
	}
	return false
}

// faultSet holds what is switched on.
type faultSet struct {
	mu     sync.RWMutex
	active map[string]*activeFault
}

func (s *faultSet) get(name string) *activeFault {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.active[name]
}

// at returns the fault if it is on and strikes this service.
func (s *faultSet) at(name string, on service) *activeFault {
	if f := s.get(name); f != nil && f.has(on) {
		return f
	}
	return nil
}

// SetFault switches a fault on: "NAME" or "NAME=ARGUMENT". A fault that is
// already on starts afresh.
func (w *World) SetFault(spec string) error {
	name, f, err := parseFault(spec)
	if err != nil {
		return err
	}
	w.faults.mu.Lock()
	defer w.faults.mu.Unlock()
	w.faults.active[name] = f
	return nil
}

// ClearFault switches a fault off; the empty name switches all off.
func (w *World) ClearFault(name string) {
	w.faults.mu.Lock()
	defer w.faults.mu.Unlock()
	if name == "" {
		clear(w.faults.active)
	}
	delete(w.faults.active, name)
}
