package connections

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"
)

const textLimit = 1024 // bytes of one text field

// Validate tells what is wrong with c. The error joins one *FieldError for
// each bad field, in the order of the YAML. ID, Created and Updated may be
// missing: Add fills them in.
func (c Connection) Validate() error {
	var v validator
	v.check(c.Schema == 0 || c.Schema == SchemaVersion, "schema", "must be %d", SchemaVersion)
	if c.ID != "" {
		v.check(validID(c.ID), "id", "is no ULID (26 capital letters and digits)")
	}
	if err := ValidName(c.Name); err != nil {
		v.errs = append(v.errs, err)
	}
	v.oneOf("kind", string(c.Kind), string(Exchange), string(SharePoint), string(MigrationSource), string(MigrationTarget))
	v.oneOf("location", string(c.Location), string(Online), string(OnPremises))
	online := c.Location == Online
	if online {
		v.check(validCloud(c.Cloud), "cloud", "must be the name of a cloud, for example global")
	} else {
		v.check(c.Cloud == "" || validCloud(c.Cloud), "cloud", "must be the name of a cloud or be left out")
	}
	v.guid("tenant.id", c.Tenant.ID)
	v.text("tenant.domain", c.Tenant.Domain)
	v.text("tenant.name", c.Tenant.Name)
	if online {
		v.check(c.Tenant.ID != "" || c.Tenant.Domain != "", "tenant.id", "is missing; give the tenant's id or its domain")
	}
	v.text("account", c.Account)
	if !online || c.Kind != SharePoint {
		v.check(c.Account != "", "account", "is missing; give the dedicated account, for example backup@contoso.com")
	}
	v.account("account", c.Account)
	v.guid("account_id", c.AccountID)
	v.registration(c.Registration, online)
	v.credential(c.Credential, online)
	sharePointServer := !online && c.Kind == SharePoint
	v.check(!c.Credential.PlainNTLM || sharePointServer && c.Credential.Type == TypePassword, "credential.plain_ntlm",
		"goes with an on-premises SharePoint connection and the credential type %s only; leave it out", TypePassword)
	v.endpoints(c.Endpoints)
	if sharePointServer {
		v.sharePointServer(c.Endpoints)
	}
	v.pins(c.Pins, online)
	v.legacyAdmin(c.LegacyAdmin, online && c.Kind == SharePoint)
	v.verification(c.Verification)
	if c.Fleet != "" {
		if err := ValidName(c.Fleet); err != nil {
			v.check(false, "fleet", "%s", strings.TrimPrefix(err.Error(), "name: "))
		}
	}
	return v.all()
}

type validator struct{ errs []error }

// all joins the errors; nil where there are none.
func (v *validator) all() error {
	if len(v.errs) == 0 {
		return nil
	}
	return invalid(v.errs)
}

// invalid are the errors of several fields, on one line: screens and logs have one.
type invalid []error

func (e invalid) Unwrap() []error { return e }

func (e invalid) Error() string {
	texts := make([]string, len(e))
	for i, one := range e {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "; ")
}

func (v *validator) check(ok bool, field, format string, args ...any) {
	if !ok {
		v.errs = append(v.errs, &FieldError{Field: field, Reason: fmt.Sprintf(format, args...)})
	}
}

func (v *validator) text(field, s string) {
	v.check(len(s) <= textLimit, field, "is longer than %d bytes", textLimit)
	v.check(utf8.ValidString(s), field, "is not valid UTF-8 text")
	v.check(!strings.ContainsFunc(s, hidden), field, "holds invisible or control characters")
}

func (v *validator) account(field, s string) {
	if s == "" {
		return
	}
	user, domain, _ := strings.Cut(s, "@")
	v.check(user != "" && domain != "" && !strings.ContainsAny(s, " \t"), field, "must look like name@domain")
}

func (v *validator) oneOf(field, s string, allowed ...string) {
	for _, a := range allowed {
		if s == a {
			return
		}
	}
	if s == "" {
		v.check(false, field, "is missing; it must be one of %s", strings.Join(allowed, ", "))
		return
	}
	v.check(false, field, "is %q; it must be one of %s", clean(s), strings.Join(allowed, ", "))
}

func (v *validator) guid(field, s string) {
	v.check(s == "" || validGUID(s), field, "is no GUID (like 11111111-2222-3333-4444-555555555555)")
}

func (v *validator) hex(field, s string, digits int) {
	if s == "" {
		return
	}
	ok := len(s) == digits
	for i := 0; ok && i < len(s); i++ {
		ok = isHex(s[i])
	}
	v.check(ok, field, "must have %d hexadecimal digits and nothing else", digits)
}

func (v *validator) ref(field string, r Ref) {
	if r == "" {
		return
	}
	if err := r.Validate(); err != nil {
		v.check(false, field, "%v", err)
	}
}

func (v *validator) registration(r Registration, online bool) {
	if r.Mode != "" {
		v.oneOf("registration.mode", r.Mode, ModeManual, ModeAutomatic)
	}
	if online {
		v.check(r.ClientID != "", "registration.client_id", "is missing; it is the application (client) id")
	}
	v.guid("registration.client_id", r.ClientID)
	v.guid("registration.object_id", r.ObjectID)
	v.guid("registration.application_object_id", r.ApplicationID)
	v.text("registration.app_name", r.AppName)
	v.text("registration.catalogue", r.Catalogue)
	v.check(r.Permissions == "" || r.Permissions == PermissionsSeed, "registration.permissions",
		"must be %s (the documented permissions alone) or be left out (the recommended ones)", PermissionsSeed)
}

func (v *validator) credential(c Credential, online bool) {
	if online {
		v.oneOf("credential.type", c.Type, TypeCertificate, TypeClientSecret)
	} else {
		v.oneOf("credential.type", c.Type, TypePassword, TypeTicketCache)
	}
	v.hex("credential.thumbprint", c.Thumbprint, 40)
	v.hex("credential.thumbprint_sha256", c.ThumbprintSHA256, 64)
	if c.Type == TypeCertificate {
		v.check(c.Secret != "" || c.Thumbprint != "" || c.ThumbprintSHA256 != "", "credential.secret",
			"is missing; a certificate needs a reference to its private key, or a thumbprint")
	} else if c.Type != TypeTicketCache {
		v.check(c.Secret != "", "credential.secret", "is missing; it says where the secret is (store:, env:, file: or exec:)")
	}
	v.ref("credential.secret", c.Secret)
	v.ref("credential.password", c.Password)
	v.text("credential.cache", c.Cache)
	v.check(c.Cache == "" || c.Type == TypeTicketCache, "credential.cache", "goes with the credential type %s only; leave it out", TypeTicketCache)
	v.guid("credential.key_id", c.KeyID)
}

func (v *validator) endpoints(e Endpoints) {
	v.text("endpoints.server", e.Server)
	v.text("endpoints.domain", e.Domain)
	for _, p := range []struct{ field, value string }{
		{"endpoints.ews", e.EWS}, {"endpoints.autodiscover", e.Autodiscover}, {"endpoints.powershell", e.PowerShell},
		{"endpoints.sharepoint", e.SharePoint}, {"endpoints.admin", e.Admin},
	} {
		if p.value == "" {
			continue
		}
		v.text(p.field, p.value)
		u, err := url.Parse(p.value)
		// http is allowed because remote PowerShell and older SharePoint farms
		// speak it on the premises; credentials in a URL are never allowed.
		v.check(err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil, p.field,
			"must be an address like https://server.contoso.com/, without a user name or password")
	}
}

// sharePointServer are the addresses that a connection to a SharePoint Server cannot do
// without. The account signs in to their hosts and to no other.
func (v *validator) sharePointServer(e Endpoints) {
	for _, p := range []struct{ field, value, example string }{
		{"endpoints.sharepoint", e.SharePoint, "https://sharepoint.contoso.com"}, {"endpoints.admin", e.Admin, "http://sharepoint.contoso.com:34567"},
	} {
		v.check(p.value != "", p.field, "is missing; give an address like %s", p.example)
		if u, err := url.Parse(p.value); err == nil && p.value != "" {
			v.check(u.RawQuery == "" && u.Fragment == "", p.field, "must end with the path: leave out what follows it (? and #)")
			v.check(p.field != "endpoints.sharepoint" || e.Server == "" || strings.EqualFold(e.Server, u.Hostname()), "endpoints.server",
				"must be the host of endpoints.sharepoint, %s, or be left out", clean(u.Hostname()))
		}
	}
}

func (v *validator) pins(pins map[string]string, online bool) {
	v.check(!online || len(pins) == 0, "pins", "only an on-premises connection can have them; leave them out")
	for host, sum := range pins {
		v.text("pins", host)
		_, port, err := net.SplitHostPort(host)
		v.check(err == nil && port != "", "pins."+clean(host), "must be named after host and port, for example exch01.contoso.com:443")
		v.check(sum != "", "pins."+clean(host), "is empty; it is the SHA-256 of a certificate")
		v.hex("pins."+clean(host), sum, 64)
	}
}

func (v *validator) legacyAdmin(a LegacyAdmin, allowed bool) {
	if a == (LegacyAdmin{}) {
		return
	}
	v.check(allowed, "legacy_admin", "only a SharePoint Online connection can have it; leave it out")
	v.check(a.UPN != "", "legacy_admin.upn", "is missing; a password alone is of no use")
	v.text("legacy_admin.upn", a.UPN)
	v.account("legacy_admin.upn", a.UPN)
	v.ref("legacy_admin.password", a.Password)
}

func (v *validator) verification(r Verification) {
	if r.State != "" {
		v.oneOf("verification.state", r.State, StateVerified, StateUnverified, StateWaiting, StateFailed)
	}
	for id, status := range r.Checks {
		v.text("verification.checks", id)
		v.oneOf("verification.checks."+clean(id), status, "pass", "warn", "fail", "skip")
	}
}

func validID(s string) bool {
	_, err := ulid.ParseStrict(s)
	return err == nil && s == strings.ToUpper(s)
}

func validCloud(s string) bool {
	for i, c := range []byte(s) {
		alnum := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		if !alnum && (i == 0 || c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return s != "" && len(s) <= nameLimit
}

func validGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
		} else if !isHex(s[i]) {
			return false
		}
	}
	return true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
