// Package psrp is the simulated server side of Exchange's remote PowerShell
// endpoint (/PowerShell/): WS-Management with shells, PSRP in them, a runspace in
// no-language mode, and the Exchange cmdlets that a program needs that connects
// to an organisation.
//
// It hides the protocols and how Exchange decides: which headers a request must
// have, how messages are cut into fragments, when a long poll ends, how many
// shells a user may have, which cmdlets and parameters his roles give him, how
// parameters are bound, what an error looks like. It is written from [MS-WSMV],
// [MS-PSRP], the Exchange PowerShell reference and recorded traffic of Windows
// servers, and is meant never to be more lenient than they are.
//
// Every shell that was not deleted counts against its user's quota and is
// listed by Open, so that a test sees what a client leaves behind. Faults are
// switched on by name.
//
// It imports nothing of the product.
package psrp

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
)

// ResourceURI is the session configuration of Exchange; there is no other here.
const ResourceURI = nsPowerShell + "/Microsoft.Exchange"

// Options are what an endpoint needs.
type Options struct {
	Organisation *org.Organisation
	Server       string // FQDN of the Exchange server

	// User tells who signed in: UPN or DOMAIN\name; "" = nobody, which is answered with 401.
	User func(*http.Request) string
	// Seal gives the encryption of a request's connection, a nil interface where it has none.
	// Requests by http must be encrypted; by https they need not.
	Seal func(*http.Request) Sealer
	// AllowUnencrypted takes plain requests by http, as servers do whose PowerShell
	// virtual directory has Basic authentication switched on.
	AllowUnencrypted bool

	MaxShells    int           // a user; 0 = 18, PowerShellMaxConcurrency of the default policy
	IdleTimeout  time.Duration // of a shell; 0 = 15 minutes
	FragmentSize int           // of our messages, in bytes; 0 = 32 KB
	// SkipRunning leaves out the first PIPELINE_STATE, Running. Servers may send it
	// or not; Windows PowerShell 5.1 was seen without it.
	SkipRunning bool

	Cmdlets []Cmdlet // besides those of Exchange

	Now   func() time.Time
	After func(time.Duration) (fired <-chan time.Time, stop func() bool) // nil = time.NewTimer
	Rand  io.Reader                                                      // for ids; nil = crypto/rand
}

// Server is the endpoint. It is an http.Handler for the path /PowerShell/.
type Server struct {
	o       Options
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	cmdlets []Cmdlet

	mu      sync.Mutex
	shells  map[string]*shell // by id in upper case
	faults  map[string]*activeFault
	running sync.WaitGroup
	randMu  sync.Mutex
	counter uint64
}

// New makes an endpoint.
func New(o Options) *Server {
	if o.MaxShells == 0 {
		o.MaxShells = 18
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = 15 * time.Minute
	}
	if o.FragmentSize == 0 {
		o.FragmentSize = 32 << 10
	}
	if o.After == nil {
		o.After = func(d time.Duration) (<-chan time.Time, func() bool) {
			t := time.NewTimer(d)
			return t.C, t.Stop
		}
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	s := &Server{o: o, shells: map[string]*shell{}, faults: map[string]*activeFault{}}
	s.cmdlets = append(exchangeCmdlets(s), o.Cmdlets...)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Close ends every shell and waits for the commands that still run.
func (s *Server) Close() {
	s.cancel()
	s.mu.Lock()
	for id, sh := range s.shells {
		sh.end(aborted())
		delete(s.shells, id)
	}
	s.mu.Unlock()
	s.running.Wait()
}

// newID makes a version 4 UUID.
func (s *Server) newID() (g org.GUID) {
	s.randMu.Lock()
	defer s.randMu.Unlock()
	if _, err := io.ReadFull(s.o.Rand, g[:]); err != nil {
		s.counter++ // ids stay distinct when the source is at its end
		for i := range 8 {
			g[15-i] = byte(s.counter >> (8 * i))
		}
	}
	g[6] = g[6]&0x0f | 0x40
	g[8] = g[8]&0x3f | 0x80
	return g
}

func (s *Server) newMessageID() string { return "uuid:" + strings.ToUpper(s.newID().String()) }

// machine is the short name of the server.
func (s *Server) machine() string {
	host, _, _ := strings.Cut(s.o.Server, ".")
	return strings.ToUpper(host)
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEnvelope+16<<10))
	if err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			s.answer(w, nil, http.StatusInternalServerError, s.faultEnvelope(&request{}, envelopeTooLarge()))
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if r.Header.Get("WSMANIDENTIFY") == "unauthenticated" {
		s.identify(w, nil, body, false)
		return
	}
	user := s.o.User(r)
	if user == "" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	contentType := r.Header.Get("Content-Type")
	var sealer *sealing
	if isSealed(contentType) {
		if sealer, body, err = s.unseal(r, body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	} else {
		// WinRM answers what it does not take unencrypted without a word.
		if r.TLS == nil && !s.o.AllowUnencrypted {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		kind, params, err := mime.ParseMediaType(contentType)
		if err != nil || kind != soapType || !strings.EqualFold(params["charset"], "utf-8") {
			w.WriteHeader(http.StatusUnsupportedMediaType)
			return
		}
	}
	if s.identify(w, sealer, body, true) {
		return
	}
	q, fault := parseRequest(r, body)
	q.user = user
	var answer []byte
	if fault == nil {
		var action, out string
		if action, out, fault = s.dispatch(w, q); fault == nil && action == "" {
			return // answered otherwise
		}
		if fault == nil {
			answer = envelopeOf(action, s.newMessageID(), q.messageID, s.newID(), out)
		}
	}
	if r.Context().Err() != nil {
		return
	}
	if fault != nil {
		s.answer(w, sealer, http.StatusInternalServerError, s.faultEnvelope(q, fault))
		return
	}
	s.answer(w, sealer, http.StatusOK, answer)
}

// sealing is how a connection's messages are encrypted.
type sealing struct {
	Sealer
	protocol string
}

func (s *Server) unseal(r *http.Request, body []byte) (*sealing, []byte, error) {
	if s.o.Seal == nil {
		return nil, nil, errSealed
	}
	sealer := s.o.Seal(r)
	if sealer == nil {
		return nil, nil, errSealed
	}
	contentType := r.Header.Get("Content-Type")
	body, err := unseal(sealer, contentType, body)
	_, params, _ := mime.ParseMediaType(contentType) // unseal has looked at it
	return &sealing{sealer, params["protocol"]}, body, err
}

func (s *Server) faultEnvelope(q *request, f *wsmanFault) []byte {
	return envelopeOf(faultAction, s.newMessageID(), q.messageID, s.newID(), f.body(s.o.Server))
}

func (s *Server) answer(w http.ResponseWriter, sealer *sealing, status int, body []byte) {
	contentType := soapType + ";charset=UTF-8"
	if sealer != nil {
		var err error
		if contentType, body, err = seal(sealer.Sealer, sealer.protocol, body); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone
}

// identify answers wsmid:Identify (DSP0226, section 11). Only who signed in is told
// the version of the operating system.
func (s *Server) identify(w http.ResponseWriter, sealer *sealing, body []byte, known bool) bool {
	root, err := parseXML(body)
	if err != nil || !root.is(nsSOAP, "Envelope") || root.child(nsSOAP, "Body").child(nsIdentity, "Identify") == nil {
		if !known {
			w.WriteHeader(http.StatusBadRequest)
		}
		return false
	}
	system := "OS: 0.0.0 SP: 0.0 Stack: 3.0"
	if known {
		system = "OS: 10.0.20348 SP: 0.0 Stack: 3.0"
	}
	s.answer(w, sealer, http.StatusOK, []byte(`<s:Envelope xml:lang="en-US" xmlns:s="`+nsSOAP+`"><s:Header/><s:Body><wsmid:IdentifyResponse xmlns:wsmid="`+nsIdentity+
		`"><wsmid:ProtocolVersion>`+nsWSMan+`</wsmid:ProtocolVersion><wsmid:ProductVendor>Microsoft Corporation</wsmid:ProductVendor><wsmid:ProductVersion>`+system+
		`</wsmid:ProductVersion></wsmid:IdentifyResponse></s:Body></s:Envelope>`))
	return true
}

// dispatch carries out an action. An empty action of the answer says that the
// answer has been written.
func (s *Server) dispatch(w http.ResponseWriter, q *request) (action, body string, fault *wsmanFault) {
	if !strings.EqualFold(q.resource, ResourceURI) {
		return "", "", resourceUnknown(q.resource)
	}
	respond := func(body string, fault *wsmanFault) (string, string, *wsmanFault) {
		return q.action + "Response", body, fault
	}
	switch q.action {
	case nsTransfer + "/Create":
		if to := s.fault("redirect"); to != nil {
			w.Header().Set("Location", to.arg)
			w.WriteHeader(http.StatusFound)
			return "", "", nil
		}
		return respond(s.create(q))
	case nsTransfer + "/Delete":
		return respond(s.deleteShell(q))
	case nsShell + "/Command":
		return respond(s.command(q))
	case nsShell + "/Send":
		return respond(s.send(q))
	case nsShell + "/Receive":
		return respond(s.receive(q))
	case nsShell + "/Signal":
		return respond(s.signal(q))
	}
	return "", "", actionNotSupported(q.action)
}
