package onprem

import (
	"net/http"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
	"github.com/c2conn/c2conn/internal/sim/onprem/krb"
	"github.com/c2conn/c2conn/internal/sim/onprem/psrp"
)

// servePowerShell makes the endpoint of remote PowerShell.
func (w *World) servePowerShell() *psrp.Server {
	return psrp.New(psrp.Options{
		Organisation: w.organisation, Server: Server, Now: w.now, Rand: newStream(w.options.Seed, "powershell"),
		User: func(r *http.Request) string {
			if id, ok := httpauth.From(r.Context()); ok {
				return NetBIOS + `\` + id.User.SAM
			}
			return ""
		},
		Seal: func(r *http.Request) psrp.Sealer {
			if id, ok := httpauth.From(r.Context()); ok && id.Kerberos != nil {
				return sealer{id.Kerberos}
			}
			return nil
		},
		AllowUnencrypted: true, // see World.powershell: only while Basic is switched on
	})
}

// sealer seals the messages of one connection.
type sealer struct{ context *krb.Context }

// Unwrap opens a message of the client.
func (s sealer) Unwrap(header, data []byte) ([]byte, error) {
	return s.context.Unwrap(slices.Concat(header, data))
}

// Wrap seals a message for the client.
func (s sealer) Wrap(plain []byte) (header, data []byte, err error) { return s.context.Wrap(plain) }

// powershell is the virtual directory PowerShell, for who has signed in.
func (w *World) powershell(out *noting, r *request) {
	out.name = "powershell"
	switch {
	case w.has("no-powershell"), w.has("powershell-http-only") && r.secure:
		r.send(out, newAnswer("powershell not found", http.StatusNotFound, "text/html", page("404 - File or directory not found.", "The resource you are looking for might have been removed, had its name changed, or is temporarily unavailable.")))
	case w.has("powershell-silent"):
		r.send(out, &answer{name: "powershell silent", hang: true})
	case !r.secure && r.who.Kerberos == nil && !w.has("powershell-basic"), !r.secure && r.who.Kerberos != nil && !strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "multipart/encrypted") && r.ContentLength != 0:
		// WinRM says nothing of what it does not take unencrypted.
		r.send(out, newAnswer("powershell unencrypted", http.StatusInternalServerError, "", "").because("unencrypted"))
	default:
		w.shells.ServeHTTP(out, r.Request)
	}
}

// Shells are the shells of remote PowerShell that nobody has deleted, by user.
func (w *World) Shells() *psrp.Server { return w.shells }
