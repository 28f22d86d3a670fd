package entra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/transport"
)

// Public clients of Microsoft that a person can sign in with. Both exist in every
// tenant, so nothing has to be registered before the first registration.
const (
	// AzureCLI may already do for a person all that registering takes: no consent
	// page, nothing left behind. The page names it "Microsoft Azure CLI".
	AzureCLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	// GraphCLI, "Microsoft Graph Command Line Tools", asks for consent first.
	GraphCLI = "14d82eec-204b-4c2f-b7e8-296a70dab67e"
)

// Admin is whoever registers applications: a person who signed in, an
// application, or the bearer of a token from elsewhere. Its tokens are for
// Microsoft Graph, stay in memory and cannot be printed. It is safe for use by
// several goroutines.
type Admin struct {
	// next brings a token, from memory where it can. A func, because that is what
	// fmt cannot look into.
	next func(ctx context.Context, challenge string) (adminToken, error)
	turn chan struct{} // holds one: two refreshes at a time would be one too many

	mu     sync.Mutex
	claims AdminClaims
}

// adminToken is a token with what is known of it.
type adminToken struct {
	raw    connections.Secret
	claims AdminClaims
}

// AdminClaims is what the administrator's token says. As with Claims, it explains
// and never permits: the tenant decides with each request.
type AdminClaims struct {
	TenantID  string    // GUID, lower case
	ObjectID  string    // of the user or service principal
	UPN       string    // user principal name; empty for an application
	Name      string    // display name
	AppID     string    // the application that was signed in with, or that signed in
	RoleIDs   []string  // "wids": template ids of the active directory roles; a hint, absent in some tokens
	Scopes    []string  // "scp": what the application may do in the person's name
	Roles     []string  // "roles": application permissions
	App       bool      // no person is behind the token
	ExpiresOn time.Time // UTC
}

// newAdmin wraps a source of tokens and the first token that came from it.
func newAdmin(first adminToken, next func(context.Context, string) (adminToken, error)) *Admin {
	return &Admin{next: next, turn: make(chan struct{}, 1), claims: first.claims}
}

// AppAdmin signs in as an existing application and registers in its name
// (--login app). scope is Microsoft Graph's, e.g.
// "https://graph.microsoft.com/.default". Errors: those of App.Token.
func AppAdmin(ctx context.Context, app *App, scope string) (*Admin, error) {
	next := func(ctx context.Context, challenge string) (adminToken, error) {
		t, err := app.Token(ctx, scope, challenge)
		if err != nil {
			return adminToken{}, err
		}
		c, _, _ := readAdmin(t.Raw.Reveal())
		c.ExpiresOn = t.ExpiresOn
		c.App = true // also where the token cannot be read
		return adminToken{raw: t.Raw, claims: c}, nil
	}
	first, err := next(ctx, "")
	if err != nil {
		return nil, err
	}
	return newAdmin(first, next), nil
}

// Token returns a token for Microsoft Graph, a new one where the last has expired
// or where claims, the challenge of a service that withdrew it, says so. An
// *Error may mean that the person has to sign in again; SignInAgain tells.
func (a *Admin) Token(ctx context.Context, claims string) (string, error) {
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-a.turn }()
	t, err := a.next(ctx, claims)
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	a.claims = t.claims
	a.mu.Unlock()
	return string(t.raw.Reveal()), nil
}

// Claims returns what the latest token says.
func (a *Admin) Claims() AdminClaims {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.claims
	c.RoleIDs, c.Scopes, c.Roles = slices.Clone(c.RoleIDs), slices.Clone(c.Scopes), slices.Clone(c.Roles)
	return c
}

// InTenant answers a *WrongTokenError unless the administrator's token is for the
// tenant with this id (GUID). An unreadable token passes: Graph will refuse it.
func (a *Admin) InTenant(id string) error {
	if got := a.Claims().TenantID; got != "" && !strings.EqualFold(got, id) {
		return &WrongTokenError{Reason: OtherTenant, Got: got, Want: id}
	}
	return nil
}

// readAdmin reads an access token for Microsoft Graph and whom it is for; ok is
// false where it cannot be read.
//
// Source: learn.microsoft.com/entra/identity-platform/access-token-claims-reference.
func readAdmin(token []byte) (c AdminClaims, audience string, ok bool) {
	var j struct {
		Aud      texts   `json:"aud"`
		Tid      text    `json:"tid"`
		Oid      text    `json:"oid"`
		UPN      text    `json:"upn"`
		Username text    `json:"preferred_username"`
		Unique   text    `json:"unique_name"`
		Name     text    `json:"name"`
		AppName  text    `json:"app_displayname"`
		AppID    text    `json:"appid"`
		Azp      text    `json:"azp"`
		Wids     texts   `json:"wids"`
		Scp      text    `json:"scp"`
		Roles    texts   `json:"roles"`
		Type     text    `json:"idtyp"`
		Exp      seconds `json:"exp"`
	}
	if !readPayload(token, &j) {
		return AdminClaims{}, "", false
	}
	label := func(t text) string { return transport.CleanText(string(t), 256) }
	c = AdminClaims{
		TenantID: strings.ToLower(clean(j.Tid)),
		ObjectID: clean(j.Oid),
		UPN:      first(label(j.UPN), first(label(j.Username), label(j.Unique))),
		Name:     label(j.Name),
		AppID:    first(clean(j.AppID), clean(j.Azp)),
		Scopes:   words(strings.Fields(string(j.Scp))),
		Roles:    words(j.Roles),
	}
	for _, id := range j.Wids {
		if guid().MatchString(id) && len(c.RoleIDs) < rolesLimit {
			c.RoleIDs = append(c.RoleIDs, strings.ToLower(id))
		}
	}
	// Tokens for Graph carry idtyp; one without it is an application's if nobody
	// delegated anything.
	c.App = j.Type == "app" || j.Type == "" && len(c.Scopes) == 0
	if c.App {
		c.UPN, c.Name = "", first(c.Name, label(j.AppName))
	}
	if j.Exp > 0 {
		c.ExpiresOn = time.Unix(int64(j.Exp), 0).UTC()
	}
	if len(j.Aud) > 0 {
		audience = transport.CleanText(j.Aud[0], 200)
	}
	return c, audience, true
}

// words cleans, sorts and limits a list of permissions.
func words(in []string) (out []string) {
	for _, w := range in {
		if w = transport.CleanText(w, 120); w != "" && len(out) < rolesLimit {
			out = append(out, w)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// seconds is a time of a JWT (RFC 7519, NumericDate); anything else, or a year
// beyond 9999, counts as missing.
type seconds int64

// UnmarshalJSON never fails.
func (s *seconds) UnmarshalJSON(b []byte) error {
	var f float64
	if json.Unmarshal(b, &f) == nil && f > 0 && f < 253402300800 {
		*s = seconds(f)
	}
	return nil
}

// SignInAgain tells whether err means that the administrator's sign-in is over:
// no new token comes without the person.
func SignInAgain(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.OAuth {
	case "interaction_required", "login_required", "consent_required", "invalid_grant":
		return true
	}
	return false
}

// WantsOtherWay tells whether the other way of signing in, browser or device
// code, is worth offering after err: some policies of a tenant block the one and
// not the other, and some computers let no program listen.
//
// AADSTS53000 and 53001 want a managed device, which a browser can prove to be
// and a device code borrows from another computer; 53003 is what a blocked device
// code shows, among others.
func WantsOtherWay(err error) bool {
	var deaf *ListenError
	if errors.As(err, &deaf) {
		return true
	}
	var e *Error
	return errors.As(err, &e) && slices.ContainsFunc(e.Codes, func(c int) bool { return c == 53000 || c == 53001 || c == 53003 })
}

// SignInTimeoutError is a person who did not finish signing in.
type SignInTimeoutError struct {
	Limit      time.Duration // how long c2conn waited
	DeviceCode bool          // the code expired; else nobody came back from the browser
}

func (e *SignInTimeoutError) Error() string {
	if e.DeviceCode {
		return fmt.Sprintf("nobody signed in with the code within %d minutes", e.Limit/time.Minute)
	}
	return fmt.Sprintf("nobody signed in with the browser within %d minutes", e.Limit/time.Minute)
}

// WrongToken says what is wrong with a token.
type WrongToken string

// The reasons of a WrongTokenError.
const (
	NotAToken    WrongToken = "not-a-token"   // not a JWT of Entra ID
	NotForGraph  WrongToken = "not-for-graph" // meant for another service or another cloud
	TokenExpired WrongToken = "expired"
	OtherTenant  WrongToken = "other-tenant"
)

// WrongTokenError is an administrator's token that cannot be used here. It holds
// nothing of the token itself but what Got says.
type WrongTokenError struct {
	Reason    WrongToken
	Got       string    // audience or tenant id of the token
	Want      string    // what was needed
	ExpiresOn time.Time // of an expired token, UTC
}

func (e *WrongTokenError) Error() string {
	switch e.Reason {
	case NotForGraph:
		return fmt.Sprintf("the access token is for %s, not for Microsoft Graph (%s)", first(e.Got, "no service that it names"), e.Want)
	case TokenExpired:
		return "the access token expired at " + e.ExpiresOn.Format("2006-01-02 15:04:05 MST")
	case OtherTenant:
		return fmt.Sprintf("the sign-in belongs to tenant %s, not to %s", e.Got, e.Want)
	default:
		return "this is not an access token of Entra ID"
	}
}
