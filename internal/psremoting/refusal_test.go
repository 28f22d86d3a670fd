package psremoting_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	. "github.com/c2conn/c2conn/internal/psremoting"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	quota := "This user is allowed a maximum number of 5 concurrent shells, which has been exceeded."
	for name, c := range map[string]struct {
		status int
		header http.Header
		body   func(request) string
		check  func(error, *Error) bool
	}{
		"shells": {500, nil, func(q request) string { return fault(q, 2150859173, quota) }, func(err error, e *Error) bool {
			var x *QuotaError
			return errors.As(err, &x) && e.Code == 2150859173 && e.Message == quota && e.Status == 500
		}},
		"operations": {500, nil, func(q request) string { return fault(q, 2150859174, "x") }, func(err error, _ *Error) bool {
			var x *QuotaError
			return errors.As(err, &x)
		}},
		"quota by subcode": {500, nil, func(q request) string { return faultXML(q, "w:QuotaLimit", "Too much.", "") }, func(err error, e *Error) bool {
			var x *QuotaError
			return errors.As(err, &x) && e.Message == "Too much."
		}},
		"access denied": {500, nil, func(q request) string { return fault(q, 5, "Access is denied.") }, func(err error, _ *Error) bool {
			var x *DeniedError
			return errors.As(err, &x) && !x.Disabled && !x.NoRole
		}},
		"access denied by Exchange": {500, nil, func(q request) string {
			return fault(q, 2150858819, "[Server=CAS1,RequestId=1,TimeStamp=2] Access is denied.")
		}, func(err error, _ *Error) bool {
			var x *DeniedError
			return errors.As(err, &x)
		}},
		"no role": {500, nil, func(q request) string {
			return fault(q, 2150858819, `<f:ProviderFault provider="Exchange" path="x"><X>[AuthZRequestId=1][FailureCategory=AuthZ-CmdletAccessDeniedException] The user "CORP\bob" isn't`+"\n"+`assigned to any management roles.</X></f:ProviderFault>`)
		}, func(err error, e *Error) bool {
			var x *DeniedError
			return errors.As(err, &x) && x.NoRole && e.Category == "AuthZ-CmdletAccessDeniedException" && strings.HasSuffix(e.Message, `The user "CORP\bob" isn't assigned to any management roles.`)
		}},
		"disabled": {500, nil, func(q request) string {
			return fault(q, 2150858819, `[FailureCategory=AuthZ-RemotePowerShellNotEnabledException] No.`)
		}, func(err error, _ *Error) bool {
			var x *DeniedError
			return errors.As(err, &x) && x.Disabled
		}},
		"redirect by a fault": {500, nil, func(q request) string {
			return fault(q, 2150859161, `Go to <f:ProviderFault>(https://exch02.corp.test/PowerShell/).</f:ProviderFault>`)
		}, func(err error, _ *Error) bool {
			var x *RedirectError
			return errors.As(err, &x) && x.URL == "https://exch02.corp.test/PowerShell/"
		}},
		"redirect by IIS": {302, http.Header{"Location": {"https://evil.example/\u202e"}}, func(request) string { return "<html/>" }, func(err error, e *Error) bool {
			var x *RedirectError
			return errors.As(err, &x) && x.URL == "https://evil.example/" && e.Status == 302
		}},
		"not signed in": {401, http.Header{"Www-Authenticate": {"Negotiate", "Basic realm=\"x\""}}, func(request) string { return "" }, func(_ error, e *Error) bool {
			return e.Status == 401 && e.WWWAuth == `Negotiate, Basic realm="x"`
		}},
		"forbidden": {403, nil, func(request) string { return "<html><body>no</body>" }, func(err error, e *Error) bool {
			var x *DeniedError
			return errors.As(err, &x) && e.Status == 403
		}},
		"no such page": {404, nil, func(request) string { return "<html><br></html>" }, func(err error, e *Error) bool {
			return e.Status == 404 && strings.Contains(err.Error(), "404") && e.Code == 0
		}},
		"another fault": {500, nil, func(q request) string { return fault(q, 2150858752, "The client cannot connect.\u202e") }, func(err error, e *Error) bool {
			return errors.Is(err, e) && e.Code == 2150858752 && e.Message == "The client cannot connect." && e.Op == "Create"
		}},
		"a fault, but 200": {200, nil, func(q request) string { return fault(q, 1, "no") }, func(_ error, e *Error) bool { return e.Code == 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, outputs())
			s.hook = func(q request) (int, string) {
				return c.status, c.body(q)
			}
			client := *s.c
			client.Transport = headers{client.Transport, c.header}
			o := s.options()
			o.HTTP = &client
			_, err := Open(t.Context(), o)
			var e *Error
			if !errors.As(err, &e) || !c.check(err, e) || e.RequestID == "" {
				t.Errorf("%T %v; %+v", err, err, e)
			}
			if err != nil && err.Error() == "" {
				t.Error("no words")
			}
			// What was refused needs no deletion.
			if got := s.seen(); got != "Create" {
				t.Error(got)
			}
		})
	}
}

// headers adds headers to each answer.
type headers struct {
	next http.RoundTripper
	add  http.Header
}

func (h headers) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := h.next.RoundTrip(r)
	if err == nil {
		for k, v := range h.add {
			res.Header[k] = v
		}
	}
	return res, err
}
