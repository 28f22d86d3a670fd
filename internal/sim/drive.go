package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// maxPages bounds how many pages a sign-in without a browser goes through.
const maxPages = 12

// ErrPage marks a page that a sign-in cannot get past: a wrong password, a
// refusal, a question that has no answer here.
var ErrPage = errors.New("the sign-in page")

// form is the form of a page, as a browser would send it.
type form struct {
	step   string // data-step of the page
	action string
	values url.Values
	alert  string // what the page complains about
	title  string
}

// readPage finds the form, the step and the complaint of one of our pages.
func readPage(base *url.URL, text string) (form, error) {
	f := form{values: url.Values{}}
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		return f, fmt.Errorf("read the page: %w", err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		at := map[string]string{}
		for _, a := range n.Attr {
			at[a.Key] = a.Val
		}
		switch {
		case n.Data == "main":
			f.step = at["data-step"]
		case n.Data == "form":
			target, err := base.Parse(at["action"])
			if err != nil {
				return f, fmt.Errorf("read the page: %w", err)
			}
			f.action = target.String()
		case n.Data == "input" && at["type"] != "checkbox" && at["name"] != "":
			f.values.Set(at["name"], at["value"])
		case at["id"] == "complaint" && n.FirstChild != nil:
			f.alert = n.FirstChild.Data
		case n.Data == "h1" && n.FirstChild != nil:
			f.title = n.FirstChild.Data
		}
	}
	return f, nil
}

// visitor answers the pages of a sign-in.
type visitor struct {
	client        *http.Client
	upn, password string
	decline       bool // the confirmation or the permissions
}

// SignIn does in a browser's place what an authorization URL asks a person:
// user name, password, second proof, permissions, and the form that a script
// sends to the application's redirect address. It returns the last answer's
// status line and text. The error wraps ErrPage when a page refuses; the text is
// that page then. client has to trust the world's CA; see Client and PublicClient.
func (w *World) SignIn(ctx context.Context, client *http.Client, authorizeURL, upn, password string) (finalStatus, text string, err error) {
	v := visitor{client: client, upn: upn, password: password}
	return v.visit(ctx, http.MethodGet, authorizeURL, nil)
}

// EnterDeviceCode does in a browser's place what a device code asks a person:
// types it, signs in with AdminPassword and agrees, or cancels.
func (w *World) EnterDeviceCode(ctx context.Context, code, upn string, accept bool) error {
	v := visitor{client: w.Client(), upn: upn, password: AdminPassword, decline: !accept}
	_, text, err := v.visit(ctx, http.MethodPost, w.LoginURL()+"/common/oauth2/deviceauth", url.Values{"code": {code}})
	if err == nil && !strings.Contains(text, `data-step="done"`) {
		err = fmt.Errorf("%w: the code was not taken", ErrPage)
	}
	return err
}

// Consent opens an address of the admin consent page, signs in with
// AdminPassword and accepts. It does not follow the redirect to the application.
// An application without a redirect address ends with AADSTS500113 after the
// consent is written; that is no error.
func (w *World) Consent(ctx context.Context, address, upn string) error {
	client := w.PublicClient()
	var refused string
	client.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		refused = req.URL.Query().Get("error_description")
		return http.ErrUseLastResponse
	}
	v := visitor{client: client, upn: upn, password: AdminPassword}
	_, text, err := v.visit(ctx, http.MethodGet, address, nil)
	switch {
	case refused != "":
		return fmt.Errorf("%w: %s", ErrPage, refused)
	case err != nil && strings.Contains(text, "AADSTS500113"):
		return nil
	}
	return err
}

// visit goes from page to page until one has no form any more.
func (v visitor) visit(ctx context.Context, method, address string, values url.Values) (status, text string, err error) {
	last := ""
	for range maxPages {
		var here *url.URL
		if status, text, here, err = v.fetch(ctx, method, address, values); err != nil {
			return status, text, err
		}
		page, err := readPage(here, text)
		switch {
		case err != nil:
			return status, text, err
		case page.step == "" || page.step == "done":
			return status, text, nil // the application's own page, or the end
		case page.step == "error" || page.action == "" || page.step == "code":
			return status, text, fmt.Errorf("%w: %s %s", ErrPage, page.title, page.alert)
		case page.alert != "" || page.step == last:
			return status, text, fmt.Errorf("%w: %s", ErrPage, page.alert)
		}
		last = page.step
		v.fill(page)
		method, address, values = http.MethodPost, page.action, page.values
	}
	return status, text, fmt.Errorf("%w: more than %d pages", ErrPage, maxPages)
}

// fill answers what a page asks.
func (v visitor) fill(f form) {
	if f.step == "reply" {
		return
	}
	f.values.Set("action", "next")
	switch f.step {
	case "account":
		f.values.Set("login", v.upn)
	case "password":
		f.values.Set("password", v.password)
	case "confirm", "consent":
		if v.decline {
			f.values.Set("action", "cancel")
		}
	}
}

func (v visitor) fetch(ctx context.Context, method, address string, values url.Values) (string, string, *url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(values.Encode()))
	if err != nil {
		return "", "", nil, fmt.Errorf("open the page: %w", err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return "", "", nil, fmt.Errorf("open the page: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return resp.Status, "", nil, fmt.Errorf("read the page: %w", err)
	}
	return resp.Status, string(text), resp.Request.URL, nil
}

// AdminToken makes a Graph token as an administrator's sign-in with Azure CLI
// gets it: for --access-token-stdin, or for asking Graph in a test.
func (w *World) AdminToken(upn string) (string, error) {
	u := w.dir.user(upn)
	if u == nil || !u.AccountEnabled {
		return "", fmt.Errorf("%w: no account %q that may sign in", ErrPage, upn)
	}
	c, audience, s := microsoftClients()[0], w.GraphURL(), scopes{resource: w.GraphURL(), names: []string{everything}}
	if w.options.Listen != "" {
		audience = "https://" + sites()[0].graph // CloudYAML names the public hosts then
	}
	by := signedIn{account: u.ID, tenant: w.dir.organization.ID, client: c.id, scopes: s, mfa: true, at: w.now()}
	key, err := w.keys.signing()
	if err != nil {
		return "", fmt.Errorf("make the signing key: %w", err)
	}
	return signJWT(key, w.userClaims(site{}, c, by, u, audience, shownScopes(c, s, c.fixed), []string{"cp1"}))
}
