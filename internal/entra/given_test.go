package entra

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/transport"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// given is a token for Graph with some claims changed; nil takes one away.
func given(change map[string]any) string {
	claims := map[string]any{
		"aud": "https://graph.microsoft.com", "tid": strings.ToUpper(tenantGUID), "oid": "33333333-3333-3333-3333-333333333333", "upn": "admin@contoso.test",
		"appid": AzureCLI, "scp": "b a", "exp": noon.Add(time.Hour).Unix(), "idtyp": "user",
	}
	for k, v := range change {
		if claims[k] = v; v == nil {
			delete(claims, k)
		}
	}
	return jwt(claims)
}

func TestGivenToken(t *testing.T) {
	t.Parallel()
	good := given(nil)
	for _, c := range []struct {
		name, token string
		reason      WrongToken
		got         string
	}{
		{"a person's", good, "", ""},
		{"with a line break", good + "\r\n", "", ""},
		{"in quotes", `"` + good + "\"\n", "", ""},
		{"with a byte order mark", "\ufeff" + good, "", ""},
		{"with its header's word", "Bearer " + good, "", ""},
		{"audience with a slash", given(map[string]any{"aud": "https://graph.microsoft.com/"}), "", ""},
		{"audience as an id", given(map[string]any{"aud": graphAppID}), "", ""},
		{"an application's", given(map[string]any{"scp": nil, "upn": nil, "idtyp": "app", "roles": []string{"Application.ReadWrite.All"}}), "", ""},
		{"an application's without idtyp", given(map[string]any{"scp": nil, "upn": nil, "idtyp": nil, "roles": []string{"Application.ReadWrite.All"}}), "", ""},
		{"expired within the clocks' difference", given(map[string]any{"exp": noon.Add(-4 * time.Minute).Unix()}), "", ""},
		{"expired", given(map[string]any{"exp": noon.Add(-5 * time.Minute).Unix()}), TokenExpired, ""},
		{"for another service", given(map[string]any{"aud": "https://management.azure.com/"}), NotForGraph, "https://management.azure.com/"},
		{"for another cloud", given(map[string]any{"aud": "https://graph.microsoft.us"}), NotForGraph, "https://graph.microsoft.us"},
		{"for nobody", given(map[string]any{"aud": nil}), NotForGraph, ""},
		{"without tenant", given(map[string]any{"tid": nil}), NotAToken, ""},
		{"without end", given(map[string]any{"exp": nil}), NotAToken, ""},
		{"end is a word", given(map[string]any{"exp": "soon"}), NotAToken, ""},
		{"end beyond time", given(map[string]any{"exp": 1e300}), NotAToken, ""},
		{"empty", "", NotAToken, ""},
		{"a client secret", "abc~def.ghi", NotAToken, ""},
		{"JSON of az", `{"accessToken": "` + good + `"}`, NotAToken, ""},
		{"two lines", good[:20] + "\n" + good[20:], NotAToken, ""},
		{"a header smuggled in", good + "\r\nX: y", NotAToken, ""},
		{"encrypted", "a.b.c.d.e", NotAToken, ""},
		{"huge", strings.Repeat("x", tokenLimit+1), NotAToken, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, err := GivenToken(connections.NewSecret(c.token), cloud.Cloud{Graph: "https://graph.microsoft.com"}, noon)
			if c.reason != "" {
				var e *WrongTokenError
				if !errors.As(err, &e) || e.Reason != c.reason || e.Got != c.got || strings.Contains(err.Error(), "eyJ") {
					t.Errorf("%+v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			raw, err := a.Token(t.Context(), "")
			if err != nil || !slices.Contains(strings.FieldsFunc(c.token, func(r rune) bool { return strings.ContainsRune("\ufeff\" \r\n", r) }), raw) {
				t.Errorf("%q %v", raw, err)
			}
			cl := a.Claims()
			if app := strings.Contains(c.name, "application"); cl.App != app || cl.TenantID != tenantGUID || app != slices.Equal(cl.Roles, []string{"Application.ReadWrite.All"}) || app == slices.Equal(cl.Scopes, []string{"a", "b"}) {
				t.Errorf("%+v", cl)
			}
			if text := fmt.Sprintf("%v %+v %#v", a, a, a); strings.Contains(text, raw) {
				t.Error("the token can be printed")
			}
			// It cannot be renewed.
			if _, err := a.Token(t.Context(), `{"access_token":{}}`); !SignInAgain(err) || !strings.Contains(err.Error(), "fetch a new one") {
				t.Error(err)
			}
		})
	}
}

func TestAppAdmin(t *testing.T) {
	t.Parallel()
	s := newLogin(t)
	s.roles = []string{"Application.ReadWrite.OwnedBy"}
	a, err := AppAdmin(t.Context(), s.app(t, secretCred()), scope)
	if err != nil {
		t.Fatal(err)
	}
	if c := a.Claims(); !c.App || c.TenantID != tenantGUID || c.AppID != clientGUID || !slices.Equal(c.Roles, s.roles) || time.Until(c.ExpiresOn) < 50*time.Minute {
		t.Errorf("%+v", c)
	}
	if token, err := a.Token(t.Context(), ""); err != nil || token == "" || s.count("POST") != 1 {
		t.Errorf("%v, %d requests", err, s.count("POST"))
	}
	if _, err := a.Token(t.Context(), `{"access_token":{}}`); err != nil || s.count("POST") != 2 {
		t.Errorf("%v, %d requests", err, s.count("POST"))
	}
	if err := a.InTenant(tenantGUID); err != nil {
		t.Error(err)
	}
}

// oauth is a refusal as the token endpoint writes it.
func oauth(code int, oauth string) map[string]any {
	return map[string]any{"error": oauth, "error_codes": []int{code}, "error_description": fmt.Sprintf("AADSTS%d: No.\r\nTrace ID: x", code)}
}

func TestAppAdminRefused(t *testing.T) {
	t.Parallel()
	s := newLogin(t)
	s.token = func(w http.ResponseWriter, _ *http.Request) bool {
		answerJSON(w, 401, oauth(7000215, "invalid_client"))
		return true
	}
	var e *Error
	if _, err := AppAdmin(t.Context(), s.app(t, secretCred()), scope); !errors.As(err, &e) || e.Code() != 7000215 || WantsOtherWay(err) || SignInAgain(err) {
		t.Error(err)
	}
}

func TestOtherWay(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		&Error{Codes: []int{53003}}:                            true,
		&Error{Codes: []int{530003, 53000}}:                    true,
		fmt.Errorf("sign in: %w", &Error{Codes: []int{53001}}): true,
		&Error{Codes: []int{53002}}:                            false,
		&Error{}:                                               false,
		&ListenError{Err: errors.New("x")}:                     true,
		&SignInTimeoutError{}:                                  false,
		errors.New("AADSTS53003"):                              false,
	} {
		if WantsOtherWay(err) != want {
			t.Errorf("%v", err)
		}
	}
}

// FuzzAdminClaims reads tokens that anybody may have made.
func FuzzAdminClaims(f *testing.F) {
	for _, payload := range []string{
		"{}", `{"aud":["x"],"exp":1e18}`, `{"wids":"62e90394-69f5-4237-9190-012177145e10","scp":["a"],"roles":{}}`, `{"upn":"\u001b[2J","name":"\u202e","exp":-1}`, `{"tid":"11111111-1111-1111-1111-111111111111","exp":"1"}`, "[]", "nul",
	} {
		f.Add([]byte("e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".x"))
	}
	f.Fuzz(func(t *testing.T, token []byte) {
		c, audience, ok := readAdmin(token)
		if !ok && (audience != "" || c.TenantID != "" || c.App) {
			t.Errorf("%+v of a token that cannot be read", c)
		}
		for _, s := range slices.Concat([]string{audience, c.TenantID, c.ObjectID, c.UPN, c.Name, c.AppID}, c.RoleIDs, c.Scopes, c.Roles) {
			if s != transport.CleanText(s, 4096) || len(s) > 300 {
				t.Errorf("%q", s)
			}
		}
		if len(c.RoleIDs) > rolesLimit || len(c.Scopes) > rolesLimit || len(c.Roles) > rolesLimit {
			t.Error("too many")
		}
	})
}
