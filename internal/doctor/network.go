package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
)

// place is one host of a cloud in use.
type place struct {
	cloud cloud.Cloud
	base  string
}

// clouds lists the hosts of clouds that the connections use; without connections those
// of the default cloud.
func (e *examination) clouds(entries []connections.Entry) []place {
	var out []place
	add := func(c cloud.Cloud, base string) {
		if u, err := url.Parse(base); err == nil && u.Host != "" {
			p := place{c, "https://" + u.Host}
			if !slices.ContainsFunc(out, func(x place) bool { return x.base == p.base }) {
				out = append(out, p)
			}
		}
	}
	servers := false
	for _, entry := range entries {
		c := entry.Connection
		servers = servers || entry.Err == nil && c.Location == connections.OnPremises
		in, err := e.Clouds.Find(c.Cloud)
		if entry.Err != nil || c.Location != connections.Online || err != nil {
			continue
		}
		add(in, in.Login)
		add(in, in.Graph)
		if c.Kind == connections.SharePoint {
			add(in, c.Endpoints.SharePoint)
		} else {
			add(in, in.Outlook)
		}
	}
	if in, err := e.Clouds.Find(e.Default); err == nil && len(out) == 0 && !servers {
		add(in, in.Login)
		add(in, in.Graph)
	}
	return out
}

// reached is the outcome of one request to a host.
type reached struct {
	err    error
	issuer string
	status int
	date   time.Time // of the server
	at     time.Time // of this computer, in the middle of the request
}

// network are four checks of each host that share one request, and the clock, which is
// compared with the first sign-in host's.
func (e *examination) network(places []place) []task.Task {
	var list []task.Task
	for i, p := range places {
		host := strings.TrimPrefix(p.base, "https://")
		var once sync.Mutex
		var got *reached
		reach := func(ctx context.Context) reached {
			once.Lock()
			defer once.Unlock()
			if got == nil {
				r := e.reach(ctx, p)
				got = &r
			}
			return *got
		}
		one := func(id, title string, judge func(reached) task.Result, needs ...string) task.Task {
			for n := range needs {
				needs[n] += "." + host
			}
			return task.Task{ID: id + "." + host, Title: title + " " + host, Needs: needs, Limit: networkLimit, Run: func(ctx context.Context) task.Result { return judge(reach(ctx)) }}
		}
		list = append(list,
			task.Task{ID: "proxy." + host, Title: "Proxy " + host, Run: func(context.Context) task.Result { return e.proxy(p) }},
			one("dns", "Name", e.name, "proxy"),
			one("tls", "Certificate", func(r reached) task.Result { return e.certificate(p, r) }, "dns"),
			one("http", "Answer", e.answer, "tls"),
		)
		if i == 0 {
			list = append(list, one("clock", "Clock", e.clock, "http"))
			list[len(list)-1].ID, list[len(list)-1].Title = "clock", "Clock"
		}
	}
	return list
}

func (e *examination) reach(ctx context.Context, p place) reached {
	client, err := e.HTTP(p.cloud)
	if err != nil {
		return reached{err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"/", nil)
	if err != nil {
		return reached{err: err}
	}
	begun := e.Clock.Now()
	res, err := client.Do(req)
	if err != nil {
		return reached{err: err}
	}
	defer res.Body.Close() //nolint:errcheck // read and not used
	r := reached{status: res.StatusCode, at: begun.Add(e.Clock.Now().Sub(begun) / 2)}
	r.date, _ = http.ParseTime(res.Header.Get("Date"))
	if res.TLS != nil && len(res.TLS.PeerCertificates) > 0 {
		r.issuer = issuer(res.TLS.PeerCertificates[0])
	}
	return r
}

func issuer(c *x509.Certificate) string {
	name := c.Issuer.CommonName
	if len(c.Issuer.Organization) > 0 {
		name = c.Issuer.Organization[0] + ", " + name
	}
	return transport.CleanText(name, 60)
}

func (e *examination) proxy(p place) task.Result {
	host, err := e.Proxy(p.base)
	switch {
	case err != nil:
		return said(task.Fail, "the proxy's address cannot be read", transport.CleanText(err.Error(), 200), "Correct HTTPS_PROXY: http://proxy.example:8080")
	case host != "":
		return pass("through %s (HTTPS_PROXY)", transport.CleanText(host, 60))
	}
	return pass("none, direct")
}

func (e *examination) name(r reached) task.Result {
	switch transport.KindOf(r.err) {
	case transport.KindDNS:
		return bad(task.Fail, r.err, e.facts())
	case transport.KindProxy, transport.KindTimeout:
		return task.Result{Status: task.Pass, Finding: "no answer so far"}
	}
	return pass("resolved")
}

// certificate tells who vouches for the host. Of a built-in cloud that is Microsoft or
// DigiCert today, which Microsoft announces but does not promise: another one is told
// as a warning, because it mostly is a proxy that inspects traffic.
func (e *examination) certificate(p place, r reached) task.Result {
	switch transport.KindOf(r.err) {
	case transport.KindAuthority, transport.KindExpired, transport.KindHostName, transport.KindTLS:
		result := bad(task.Fail, r.err, e.facts())
		var unknown x509.UnknownAuthorityError
		if errors.As(r.err, &unknown) && unknown.Cert != nil {
			result.Details = []string{"Issued by " + issuer(unknown.Cert)}
		}
		return result
	}
	if r.err != nil || r.issuer == "" {
		return task.Result{Status: task.Pass, Finding: "not seen"}
	}
	if p.cloud.BuiltIn && !strings.Contains(r.issuer, "Microsoft") && !strings.Contains(r.issuer, "DigiCert") {
		return said(task.Warn, "issued by "+r.issuer, "Microsoft's hosts show certificates of Microsoft or DigiCert. A proxy of your organisation probably inspects the traffic.", "Ask the network team whether this host can pass uninspected.")
	}
	return pass("issued by %s", r.issuer)
}

func (e *examination) answer(r reached) task.Result {
	if r.err != nil {
		return bad(task.Fail, r.err, e.facts())
	}
	return pass("HTTP %d", r.status) // which one does not matter: nobody signs in
}

const (
	skewWarn = time.Minute
	skewFail = 5 * time.Minute // an assertion of the application lasts ten minutes
)

func (e *examination) clock(r reached) task.Result {
	if r.date.IsZero() {
		return task.Result{Status: task.Skip, Finding: "the server does not tell the time"}
	}
	skew := r.at.Sub(r.date)
	finding := fmt.Sprintf("%s ahead", skew.Round(time.Second))
	if skew < 0 {
		finding = fmt.Sprintf("%s behind", (-skew).Round(time.Second))
	}
	why := "Entra ID refuses signatures of a computer whose clock is minutes wrong (AADSTS700024)."
	next := "Switch on time synchronisation (Linux: timedatectl set-ntp true; Windows: w32tm /resync)."
	switch {
	case skew.Abs() > skewFail:
		return said(task.Fail, finding, why, next)
	case skew.Abs() > skewWarn:
		return said(task.Warn, finding, why, next)
	}
	return pass("right to the second or so (%s)", finding)
}
