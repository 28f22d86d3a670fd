package onprem

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/org"
)

// Request is one request to a web server of the world, as recorded: no password,
// token or body is in it.
type Request struct {
	Name        string  `json:"name"`            // what was done, such as "ews GetFolder"
	Method      string  `json:"m"`               //
	URL         string  `json:"url"`             // as the client named it, with the well-known port
	Status      int     `json:"st"`              // 0: there was no answer
	User        string  `json:"user,omitempty"`  // sAMAccountName of who signed in
	Via         string  `json:"via,omitempty"`   // Kerberos, NTLM or Basic
	Scheme      string  `json:"scheme"`          // of the Authorization header; "" without one
	Impersonate string  `json:"as,omitempty"`    // mailbox that was acted on
	Error       string  `json:"error,omitempty"` // response code or reason of the refusal
	Conn        int64   `json:"conn"`            // number of the TCP connection
	StartMS     float64 `json:"start_ms"`
	EndMS       float64 `json:"end_ms"`
}

// recorder keeps what happened and writes it to the log.
type recorder struct {
	mu     sync.Mutex
	list   []Request
	out    io.Writer
	broken error
}

func (c *recorder) add(r Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, r)
	if c.out == nil || c.broken != nil {
		return
	}
	line, err := json.Marshal(r)
	if err == nil {
		_, err = c.out.Write(append(line, '\n')) // a line at a time: complete whenever the reader looks
	}
	if err != nil {
		c.broken = fmt.Errorf("write the log: %w", err)
	}
}

func (c *recorder) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}

// Requests are the requests so far to paths that begin with this one, in the order of
// the answers; "" stands for all. Case does not matter.
func (w *World) Requests(path string) []Request {
	w.record.mu.Lock()
	defer w.record.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.record.list), func(r Request) bool {
		_, rest, _ := strings.Cut(r.URL, "://")
		i := strings.IndexByte(rest, '/')
		return i < 0 || !strings.HasPrefix(strings.ToLower(rest[i:]), strings.ToLower(path))
	})
}

// FailedSignIns is how many sign-ins the domain has refused, by all protocols.
func (w *World) FailedSignIns() int { return w.accounts.FailedSignIns() }

// SignInsBy is how many sign-ins by a protocol succeeded. For Kerberos these are
// ticket-granting tickets, not visits to a service.
func (w *World) SignInsBy(p account.Protocol) int { return w.accounts.SuccessfulSignIns(p) }

// Accounts is the domain's account database, with all its counters.
func (w *World) Accounts() *account.Directory { return w.accounts }

// Counters are figures of what has happened so far.
type Counters struct {
	FailedSignIns int             `json:"failed_sign_ins"`
	SignIns       map[string]int  `json:"sign_ins"` // successful ones, by protocol
	BadPasswords  map[string]int  `json:"bad_passwords,omitempty"`
	Requests      map[string]int  `json:"requests"` // by name
	Impersonation []Impersonation `json:"impersonation"`
	OpenShells    int             `json:"open_shells"` // of remote PowerShell, that nobody has deleted
}

// Impersonation is a role assignment of ApplicationImpersonation that Setup did not make.
type Impersonation struct {
	Name       string `json:"name"`
	Assignee   string `json:"assignee"`
	Delegating bool   `json:"delegating,omitempty"`
	Scope      string `json:"scope,omitempty"`
}

// Counters counts what has happened so far.
func (w *World) Counters() Counters {
	c := Counters{FailedSignIns: w.FailedSignIns(), SignIns: map[string]int{}, BadPasswords: map[string]int{}, Requests: map[string]int{}, Impersonation: []Impersonation{}, OpenShells: len(w.shells.Open())}
	for _, p := range []account.Protocol{account.Kerberos, account.NTLM, account.LDAP, account.Basic} {
		c.SignIns[string(p)] = w.SignInsBy(p)
	}
	for _, u := range w.accounts.Users() {
		if n := w.accounts.BadPasswords(u.SAM); n > 0 {
			c.BadPasswords[u.SAM] = n
		}
	}
	for _, r := range w.Requests("") {
		c.Requests[r.Name]++
	}
	for _, a := range w.organisation.Assignments() {
		if a.Role == org.Impersonation && !a.Created.IsZero() { // Setup's own have no time
			c.Impersonation = append(c.Impersonation, Impersonation{a.Name, a.Assignee, a.Delegating, a.Scope})
		}
	}
	return c
}
