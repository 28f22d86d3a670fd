package onprem

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/ldapd"
	"github.com/c2conn/c2conn/internal/sim/onprem/psrp"
	"github.com/c2conn/c2conn/internal/sim/onprem/sharepoint"
)

// Fault is a fault, or a setting of an administrator, of the catalogue.
type Fault struct {
	Name string
	Args string // what may follow "NAME=", empty when nothing
	Help string // one line
}

// ErrFault marks a fault that is unknown or whose argument is wrong.
var ErrFault = errors.New("fault")

// Faults lists the catalogue, sorted by name.
func Faults() []Fault {
	list := []Fault{
		// TLS and the network.
		{"wrong-certificate", "", "the Exchange Server shows a certificate for mail.contoso.example"},
		{"certificate-changed", "", "the Exchange Server shows a new self-signed certificate for the same names"},
		{"certificate-expired", "", "the Exchange Server's certificate has expired"},
		{"slow", "[DURATION]", "every answer of the Exchange Server comes 3 s late"},
		{"silent", "", "the Exchange Server takes connections and never says anything"},
		{"down", "", "the Exchange Server answers 503 to everything"},
		{"powershell-silent", "", "/PowerShell takes requests and never answers"},

		// The domain.
		{"no-kdc", "", "no KDC answers, and DNS names none"},
		{"clock-skew", "[DURATION]", "the clock of the domain is 20 minutes ahead"},
		{"kdc-silent", "", "the KDC takes requests and never answers"},
		{"dns-silent", "", "the DNS server answers nothing"},
		{"no-ldap", "", "no LDAP server answers, and DNS names none"},
		{"account-locked", "[ACCOUNT]", "exadmin is locked out"},
		{"account-disabled", "[ACCOUNT]", "exadmin is disabled"},
		{"password-expired", "[ACCOUNT]", "exadmin's password has expired"},
		{"must-change", "[ACCOUNT]", "exadmin must change the password at the next sign-in"},

		// Signing in to the web server.
		{"no-kerberos", "", "EWS and Autodiscover offer NTLM, not Negotiate"},
		{"ews-basic", "", "EWS offers Basic, too"},
		{"basic-only", "", "EWS and Autodiscover offer Basic alone"},
		{"powershell-basic", "", "/PowerShell takes Basic, too, over https and http, as for servers named by their address"},
		{"no-sign-in", "", "EWS and Autodiscover offer no way to sign in that is not Bearer"},
		{"ep-require", "", "EWS requires a channel binding (Extended Protection)"},
		{"ep-require-behind-proxy", "", "the same behind a proxy that ends TLS: no binding is ever right"},
		{"load-balancer-name", "", "Autodiscover names mail.corp.test, which has no service principal name"},

		// EWS.
		{"ews-403", "", "EWS is blocked: 403 after a good sign-in"},
		{"ews-404", "", "there is no EWS"},
		{"ews-busy", "[TIMES]", "ErrorServerBusy with BackOffMilliseconds, twice"},
		{"ews-fault", "CODE", "a SOAP fault with this response code"},
		{"ews-error", "CODE", "a response message with this response code and status 200"},
		{"impersonation-denied", "", "ErrorImpersonationDenied: not through this server"},

		// Rights.
		{"granted", "[ACCOUNT]", "exadmin has ApplicationImpersonation already"},
		{"granted-scoped", "[ACCOUNT]", "the same, over the mailboxes of the scope Sales alone"},
		{"delegating-only", "[ACCOUNT]", "exadmin has an assignment of the role that delegates only"},
		{"impersonation-delay", "[DURATION]", "a role assignment takes effect after 10 minutes"},
		{"impersonation-lost", "", "a role assignment never takes effect"},
		{"no-mailboxes-right", "", "exadmin may not list mailboxes: a member of Discovery Management instead of Organization Management"},
		{"no-mailbox", "", "exadmin has no mailbox"},

		// Remote PowerShell.
		{"remote-powershell-disabled", "[ACCOUNT]", "exadmin may not use remote PowerShell"},
		{"no-powershell", "", "there is no /PowerShell"},
		{"powershell-http-only", "", "/PowerShell answers over http alone"},

		// Autodiscover.
		{"no-autodiscover", "", "no name, no record and no SCP leads to Autodiscover"},
		{"no-scp", "", "the directory has no SCP"},
		{"scp-dead", "", "the SCP leads to a server that is gone"},
		{"scp-silent", "", "the SCP leads to a server that never answers"},
		{"srv-only", "", "DNS leads to Autodiscover by SRV alone, and there is no SCP"},
		{"autodiscover-silent", "", "Autodiscover takes connections and never says anything"},
		{"autodiscover-dead", "", "connections to Autodiscover are cut at once"},
		{"autodiscover-401", "", "Autodiscover answers 401 to every password"},
		{"autodiscover-no-json", "", "there is no autodiscover.json, as before Exchange 2016"},
		{"autodiscover-error", "[CODE]", "Autodiscover answers error 500: no such address"},
		{"autodiscover-loop", "", "redirectAddr to another address and back"},
		{"autodiscover-url-loop", "", "redirectUrl to itself"},
		{"autodiscover-chain", "[TIMES]", "20 redirects by redirectUrl before the answer"},
		{"autodiscover-to-http", "", "redirectUrl, and Location, to http"},
		{"autodiscover-to-foreign", "", "redirectUrl, and Location, to autodiscover.fabrikam.example, of another company"},
		{"autodiscover-huge", "", "an answer of 64 MB"},
		{"autodiscover-deep", "", "an answer with elements nested 100,000 deep"},
		{"autodiscover-bomb", "", "an answer with entities that grow a billionfold"},
		{"autodiscover-garbage", "", "an answer that is no XML"},
	}
	for _, f := range psrp.Faults() {
		if f.Name != "assignment-delay" { // see impersonation-delay
			list = append(list, Fault{"powershell-" + f.Name, f.Args, "remote PowerShell: " + f.Help})
		}
	}
	for _, f := range sharepoint.Faults() {
		list = append(list, Fault(f))
	}
	for _, f := range ldapd.Faults() {
		list = append(list, Fault{string(f), "", ldapHelp(f)})
	}
	slices.SortFunc(list, func(a, b Fault) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func ldapHelp(f ldapd.Fault) string {
	switch f {
	case ldapd.FaultHostile:
		return "control characters and terminal escapes in every text of the directory"
	case ldapd.FaultSlow:
		return "every search of the directory takes 3 s"
	case ldapd.FaultDrop:
		return "the LDAP server cuts the connection in the middle of an answer"
	case ldapd.FaultNoSAN:
		return "the domain controller's certificate names its host in the subject alone"
	case ldapd.FaultNoTLS:
		return "the domain controller refuses StartTLS"
	}
	return "the LDAP server misbehaves"
}

// switches are the faults that are on.
type switches struct {
	mu sync.Mutex
	on map[string]*active
}

type active struct {
	arg  string
	used int // of faults that strike a number of times
}

// SetFault switches a fault on: "NAME" or "NAME=ARGUMENT". The error is an ErrFault.
func (w *World) SetFault(spec string) error {
	name, arg, given := strings.Cut(spec, "=")
	name, arg = strings.TrimSpace(name), strings.TrimSpace(arg)
	i := slices.IndexFunc(Faults(), func(f Fault) bool { return f.Name == name })
	if i < 0 {
		return fmt.Errorf("unknown %w %q", ErrFault, name)
	}
	switch f := Faults()[i]; {
	case given && f.Args == "":
		return fmt.Errorf("%w %s takes no argument", ErrFault, name)
	case given && arg == "", !given && f.Args != "" && !strings.HasPrefix(f.Args, "["):
		return fmt.Errorf("%w %s: its argument is missing", ErrFault, name)
	case given && f.Args == "[DURATION]":
		if d, err := time.ParseDuration(arg); err != nil || d < 0 && name != "clock-skew" {
			return fmt.Errorf("%w %s: %q is no duration such as 500ms", ErrFault, name, arg)
		}
	case given && f.Args == "[TIMES]":
		if n, err := strconv.Atoi(arg); err != nil || n < 0 || n > 1_000_000 {
			return fmt.Errorf("%w %s: %q is no number", ErrFault, name, arg)
		}
	case given && f.Args == "[ACCOUNT]":
		if _, found := w.organisation.Find(arg); !found {
			return fmt.Errorf("%w %s: there is no account %q", ErrFault, name, arg)
		}
	}
	w.faults.mu.Lock()
	w.faults.on[name] = &active{arg: arg}
	w.faults.mu.Unlock()
	err := w.effects(name, arg, true)
	if err != nil {
		w.faults.mu.Lock()
		delete(w.faults.on, name)
		w.faults.mu.Unlock()
		err = fmt.Errorf("%w %s: %w", ErrFault, name, err)
	}
	return err
}

// ClearFault switches a fault off again; one that is not on is left alone.
func (w *World) ClearFault(name string) error {
	w.faults.mu.Lock()
	f := w.faults.on[name]
	delete(w.faults.on, name)
	w.faults.mu.Unlock()
	if f == nil {
		return nil
	}
	return w.effects(name, f.arg, false)
}

func (w *World) has(name string) bool {
	_, on := w.fault(name)
	return on
}

// fault tells whether a fault is on, and its argument.
func (w *World) fault(name string) (string, bool) {
	w.faults.mu.Lock()
	defer w.faults.mu.Unlock()
	f := w.faults.on[name]
	if f == nil {
		return "", false
	}
	return f.arg, true
}

// span is the duration of a fault, zero when it is off.
func (w *World) span(name string, usual time.Duration) time.Duration {
	arg, on := w.fault(name)
	if !on {
		return 0
	}
	if d, err := time.ParseDuration(arg); err == nil {
		return d
	}
	return usual
}

// strikes tells whether a fault that strikes a number of times does so now.
func (w *World) strikes(name string, usual int) bool {
	w.faults.mu.Lock()
	defer w.faults.mu.Unlock()
	f := w.faults.on[name]
	if f == nil {
		return false
	}
	if n, err := strconv.Atoi(f.arg); err == nil {
		usual = n
	}
	f.used++
	return f.used <= usual
}
