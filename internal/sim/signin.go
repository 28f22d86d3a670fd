package sim

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// AdminPassword is the password of every account of a world.
const AdminPassword = "Simulated-Passw0rd!" //nolint:gosec // of accounts that live for a test

// What a sign-in is for.
const (
	flowCode    = iota // an application's redirect address
	flowDevice         // a device code
	flowConsent        // an administrator's consent page
)

// flow is a sign-in under way in somebody's browser.
type flow struct {
	mu        sync.Mutex // held by the request that is at it
	id        string
	kind      int
	tenant    string // asked for; "" for any
	client    client
	scopes    scopes
	prompt    string
	hint      string
	ends      time.Time
	authorize authorizeRequest // flowCode
	device    string           // flowDevice: the device code
	consent   consentRequest   // flowConsent

	login      string // as typed, the password comes next
	account    string // object id, once signed in
	signedInTo string // id of the tenant, with account
	mfa        bool
	confirmed  bool // flowDevice: it is really that application
	agreed     bool // to the permissions
}

func (f *flow) signedIn(now time.Time) signedIn {
	kind := f.authorize.kind
	if f.kind == flowDevice {
		kind = redirectPublic
	}
	return signedIn{account: f.account, tenant: f.signedInTo, client: f.client.id, scopes: f.scopes, shared: f.tenant == "", nonce: f.authorize.nonce, mfa: f.mfa, at: now, device: f.kind == flowDevice, kind: kind}
}

// sessionCookie names the cookie that keeps a browser signed in.
const sessionCookie = "ESTSAUTH"

// session is the account that the browser is signed in with, nil when none.
func (w *World) session(r *request) *user {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	return w.dir.user(look(w.grants(), &w.grants().sessions, cookie.Value))
}

// begin shows the first page of a sign-in, or none when a session is enough.
func (w *World) begin(r *request, f *flow) *answer {
	f.id, f.ends = w.dice.guid(), w.now().Add(flowLife)
	f.mu.Lock()
	defer f.mu.Unlock()
	w.grants().forget(w.now())
	put(w.grants(), &w.grants().flows, f.id, f)
	known := w.session(r)
	if known != nil && (f.hint != "" && !strings.EqualFold(f.hint, known.UserPrincipalName) || w.elsewhere(f)) {
		known = nil
	}
	switch {
	case f.prompt == "none" && known == nil:
		return w.reply(r, f.authorize, w.refusalValues(r, refusal{code: 50058}, ""))
	case known != nil && (f.prompt == "none" || f.prompt == "" || f.prompt == "consent"):
		f.account, f.signedInTo = known.ID, w.dir.organization.ID
		return w.proceed(r, f)
	case f.hint != "":
		return w.enterAccount(r, f, f.hint)
	}
	return w.accountPage(r, f, "")
}

func (w *World) accountPage(r *request, f *flow, complaint string) *answer {
	p := f.page("account", "Sign in")
	p.Complaint, p.Account = complaint, f.login
	if known := w.session(r); known != nil && f.prompt != "login" {
		p.Title, p.Tiles = "Pick an account", []string{known.UserPrincipalName}
	}
	return w.showPage(p)
}

func (w *World) passwordPage(f *flow, complaint string) *answer {
	p := f.page("password", "Enter password")
	p.Complaint, p.Account = complaint, f.login
	return w.showPage(p)
}

// step takes what a page of a sign-in sent.
func (w *World) step(r *request) *answer {
	form, fail := r.parameters()
	if fail != nil {
		return w.refusePage(r, *fail)
	}
	f := look(w.grants(), &w.grants().flows, form.Get("flow"))
	if f == nil || w.now().After(f.ends) {
		return w.refusePage(r, refusal{code: 50089})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if form.Get("action") == "cancel" {
		return w.cancelled(r, f)
	}
	if form.Get("action") == "back" {
		f.login, f.account, f.hint, f.mfa = "", "", "", false
		return w.accountPage(r, f, "")
	}
	switch form.Get("step") {
	case "account":
		login := form.Get("tile")
		if login == "" {
			login = form.Get("login")
		}
		return w.enterAccount(r, f, strings.TrimSpace(login))
	case "password":
		return w.enterPassword(r, f, form.Get("password"))
	}
	if f.account == "" { // a page out of turn
		return w.accountPage(r, f, "")
	}
	switch form.Get("step") {
	case "mfa":
		f.mfa = true
	case "confirm":
		f.confirmed = true
	case "consent":
		return w.agree(r, f, form.Get("organisation") != "")
	}
	return w.proceed(r, f)
}

// enterAccount takes a user name: its account decides what is next.
func (w *World) enterAccount(r *request, f *flow, login string) *answer {
	f.login = login
	_, domain, ok := strings.Cut(strings.ToLower(login), "@")
	switch {
	case !ok || domain == "":
		return w.accountPage(r, f, "Enter a valid email address, phone number, or Skype name.")
	case slices.Contains([]string{"outlook.com", "hotmail.com", "live.com", "gmail.com"}, domain):
		return w.accountPage(r, f, "You can't sign in here with a personal account. Use your work or school account instead.")
	}
	if known := w.session(r); known != nil && f.prompt != "login" && !w.elsewhere(f) && strings.EqualFold(known.UserPrincipalName, login) {
		f.account, f.signedInTo = known.ID, w.dir.organization.ID
		return w.proceed(r, f)
	}
	if _, foreign := w.foreigner(login); !foreign && w.dir.user(login) == nil {
		return w.accountPage(r, f, "This username may be incorrect. Make sure you typed it correctly. Otherwise, contact your admin.")
	}
	return w.passwordPage(f, "")
}

// enterPassword signs the account in, and the browser with it.
func (w *World) enterPassword(r *request, f *flow, password string) *answer {
	if password != AdminPassword {
		return w.passwordPage(f, "Your account or password is incorrect. If you don't remember your password, reset it now. (AADSTS50126)")
	}
	if home, foreign := w.foreigner(f.login); foreign {
		return w.foreign(r, f, home)
	}
	u := w.dir.user(f.login)
	switch {
	case u == nil:
		return w.accountPage(r, f, "")
	case w.elsewhere(f):
		return w.refusePage(r, refusal{code: 50020, args: []any{u.UserPrincipalName, "https://sts.windows.net/" + w.dir.organization.ID + "/", OtherTenantName, f.client.id, f.client.name}})
	case !u.AccountEnabled:
		return w.passwordPage(f, "Your account has been locked. Contact your support person to unlock it, then try again. (AADSTS50057)")
	}
	f.account, f.signedInTo = u.ID, w.dir.organization.ID
	a := w.proceed(r, f)
	cookie := http.Cookie{Name: sessionCookie, Value: put(w.grants(), &w.grants().sessions, w.random("1."), u.ID), Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteNoneMode}
	a.header.Add("Set-Cookie", cookie.String())
	return a
}

// proceed goes on with a sign-in whose account is known, until something has to
// be asked.
func (w *World) proceed(r *request, f *flow) *answer {
	silent := f.prompt == "none"
	if w.faults.get("mfa-required") != nil && !f.mfa {
		if silent {
			return w.reply(r, f.authorize, w.refusalValues(r, refusal{code: 50076, args: []any{GraphAppID}, oauth: "interaction_required"}, ""))
		}
		return w.showPage(f.page("mfa", "Approve sign in request"))
	}
	if blocked := w.pagePolicy(f); blocked != 0 {
		return w.refusePage(r, refusal{code: blocked, app: f.client.name, appID: f.client.id})
	}
	if p := w.dir.at(r).principal(f.client.id); p != nil && p.AssignmentRequired && f.kind != flowConsent &&
		!slices.ContainsFunc(w.dir.at(r).assignments, func(a *appRoleAssignment) bool { return a.PrincipalID == f.account && a.ResourceID == p.ID }) {
		return w.refusePage(r, refusal{code: 50105, args: []any{f.client.name, f.client.id, "{EmailHidden}"}})
	}
	if f.kind == flowDevice && !f.confirmed {
		return w.showPage(f.page("confirm", "Are you trying to sign in to "+f.client.name+"?"))
	}
	if f.kind == flowConsent {
		return w.consentPage(r, f)
	}
	_, missing, fail := w.delegate(r, f.client, f.scopes, f.account)
	if fail != nil {
		return w.refusePage(r, *fail)
	}
	if len(missing) > 0 || f.prompt == "consent" && !f.agreed && f.client.fixed == nil {
		if silent {
			return w.reply(r, f.authorize, w.refusalValues(r, refusal{code: 65001, args: []any{f.client.id, f.client.name}, oauth: "interaction_required"}, ""))
		}
		return w.permissionsPage(r, f, missing)
	}
	if f.kind == flowDevice {
		return w.approveDevice(r, f)
	}
	w.end(f)
	return w.grantCode(r, f)
}

// pagePolicy is Conditional Access where it stops the sign-in in the browser.
func (w *World) pagePolicy(f *flow) int {
	if fault := w.faults.get("device-code-blocked"); fault != nil && f.kind == flowDevice {
		if !fault.says("page") {
			w.blockDevice(f.device, 53003)
		}
		return 53003
	}
	if fault := w.faults.get("browser-blocked"); fault != nil && f.kind == flowCode && fault.says("page") {
		return 53000
	}
	return 0
}

// elsewhere reports whether the sign-in is for another tenant than this.
func (w *World) elsewhere(f *flow) bool { return f.tenant != "" && f.tenant != w.dir.organization.ID }

// end forgets a sign-in: going back in the browser starts a new one.
func (w *World) end(f *flow) {
	w.grants().mu.Lock()
	defer w.grants().mu.Unlock()
	delete(w.grants().flows, f.id)
}

// cancelled takes a "Cancel" on any page.
func (w *World) cancelled(r *request, f *flow) *answer {
	w.end(f)
	switch f.kind {
	case flowDevice:
		return w.declineDevice(f)
	case flowConsent:
		return w.consentDenied(r, f)
	default:
		return w.reply(r, f.authorize, w.refusalValues(r, refusal{code: 65004}, "cancel"))
	}
}

// permissionsPage asks for consent to delegated permissions, or says that only
// an administrator can give it.
func (w *World) permissionsPage(r *request, f *flow, missing []delegation) *answer {
	u := w.person(f.account)
	admin := mayConsent(w.rolesOf(u), GraphAppID, false)
	p := f.page("consent", "Permissions requested")
	p.Account = u.UserPrincipalName
	for _, d := range missing {
		if d.admin && !admin {
			return w.needAdmin(r, f)
		}
		p.Permissions = append(p.Permissions, permission{d.words, d.value})
	}
	p.Organisation = admin
	return w.showPage(p)
}

// needAdmin is where people without the right role end.
func (w *World) needAdmin(r *request, f *flow) *answer {
	p := f.page("blocked", "Need admin approval")
	body, _ := w.explain(r, refusal{code: 90094, args: []any{w.dir.organization.DisplayName, f.client.name}})
	p.Complaint = body.Description
	return w.showPage(p)
}

// agree takes "Accept" on a page of permissions.
func (w *World) agree(r *request, f *flow, organisation bool) *answer {
	if w.faults.get("consent-declined") != nil {
		return w.cancelled(r, f)
	}
	if f.kind == flowConsent {
		return w.acceptConsent(r, f)
	}
	resource, fail := w.delegateResource(r, f.scopes)
	if fail != nil {
		return w.refusePage(r, *fail)
	}
	_, missing, fail := w.delegate(r, f.client, f.scopes, f.account)
	if fail != nil {
		return w.refusePage(r, *fail)
	}
	admin, who := mayConsent(w.rolesOf(w.person(f.account)), GraphAppID, false), f.account
	if organisation && admin {
		who = everyone
	}
	var names []string
	for _, d := range missing {
		if d.admin && !admin {
			return w.needAdmin(r, f)
		}
		names = append(names, d.value)
	}
	w.grants().consent(f.client.id, resource.AppID, who, names)
	f.agreed = true
	return w.proceed(r, f)
}

// signOut ends the browser's session.
func (w *World) signOut() *answer {
	a := w.donePage("You signed out of your account", "It's a good idea to close all browser windows.")
	gone := http.Cookie{Name: sessionCookie, Path: "/", Secure: true, HttpOnly: true, MaxAge: -1, SameSite: http.SameSiteNoneMode}
	a.header.Add("Set-Cookie", gone.String())
	return a
}
