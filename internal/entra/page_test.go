package entra

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/c2conn/c2conn/internal/transport"
)

// FuzzLastPage lets Entra ID, or who pretends to be it, say what it likes.
func FuzzLastPage(f *testing.F) {
	f.Add("access_denied", "AADSTS65004: No.\r\nTrace ID: 0a0b0c0d-0000-1111-2222-333344445555\r\nTimestamp: 2026-11-22 10:11:12Z", "cancel")
	f.Add("<b>", "</style><script>alert(1)</script>", "\"'>")
	f.Add("x", "\x00\xff\u202e\x1b]0;x\a", "")
	f.Fuzz(func(t *testing.T, oauth, text, sub string) {
		e := formError(url.Values{"error": {oauth}, "error_description": {text}, "error_subcode": {sub}})
		for _, s := range []string{e.OAuth, e.Suberror, e.Description, e.TraceID, e.CorrelationID} {
			if s != transport.CleanText(s, 4096) {
				t.Errorf("%q", s)
			}
		}
		root, err := html.Parse(strings.NewReader(string(lastPage(nil, e))))
		if err != nil {
			t.Fatal(err)
		}
		for n := range root.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			switch n.Data {
			case "html", "head", "meta", "title", "link", "style", "body", "main", "header", "h1", "h2", "span", "p", "ul", "li", "dl", "dt", "dd":
			default:
				t.Errorf("an element %s came in from outside", n.Data)
			}
		}
	})
}

func TestPageOfOtherFailures(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		&SignInTimeoutError{}: "no longer waits",
		&transport.Error{Kind: transport.KindCut, Host: "login.test", Err: errors.New("<x>")}: "could not finish the sign-in: the connection to login.test was cut: &lt;x&gt;",
	} {
		if got := string(lastPage(nil, err)); !strings.Contains(got, want) || !strings.Contains(got, "Nothing was changed in the tenant.") {
			t.Errorf("%v:\n%s", err, got)
		}
	}
}
