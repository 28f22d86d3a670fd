package sharepoint

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// usualSites is how many site collections there are unless Options says otherwise.
const usualSites = 12

// Policy is what a policy of the web application grants a user in all of its site
// collections.
type Policy int

// The levels of policies. SiteData.asmx tells its data from Full Read on.
const (
	NoPolicy Policy = iota
	FullRead
	FullControl
)

// Person is a user whom the farm knows. Whoever else signs in has no rights anywhere.
type Person struct {
	Login string // DOMAIN\name
	Name  string
	Mail  string
	SID   string

	System            bool   // the farm account: SharePoint shows it as SHAREPOINT\system
	FarmAdministrator bool   // may enter Central Administration
	Policy            Policy // of the web application
	SiteAdministrator bool   // of all site collections
	Reader            bool   // may read every second site collection, the root one among them
}

// Options say how a farm is made.
type Options struct {
	Version     string // see Versions; "" is the newest
	Sites       int    // how many site collections there are; 0 means 12
	Host        string // of the web application and of Central Administration
	CentralPort int
	Public      string   // host of the public URL under the fault sp-aam
	HostNamed   []string // hosts of the site collections of the fault sp-host-named
	Foreign     string   // host of the site collections of the fault sp-foreign
	People      []Person

	Now     func() time.Time
	Rand    io.Reader // for ids
	Fault   func(name string) bool
	Strikes func(name string, usual int) bool // of a fault that strikes a number of times
}

// Farm is a farm. Its methods may be called from several goroutines.
type Farm struct {
	o       Options
	version Version
	made    time.Time
	content application
	central application
	extra   map[string][]*site // by the fault that adds them
}

// New makes a farm.
func New(o Options) (*Farm, error) {
	if o.Sites < 0 {
		return nil, errors.New("sharepoint: the number of site collections is negative")
	}
	if o.Now == nil || o.Rand == nil || o.Host == "" {
		return nil, errors.New("sharepoint: Options.Now, Rand or Host is missing")
	}
	f := &Farm{o: o, made: o.Now().UTC().Truncate(time.Second)}
	var err error
	if f.version, err = versionOf(o.Version); err != nil {
		return nil, err
	}
	if err = f.populate(cmp.Or(o.Sites, usualSites)); err != nil {
		return nil, fmt.Errorf("make the site collections: %w", err)
	}
	return f, nil
}

// Version is the version of the farm.
func (f *Farm) Version() Version {
	if f.has("sp-verbose-only") {
		return rtm
	}
	return f.version
}

// Request is a request to one of the farm's web applications.
type Request struct {
	*http.Request
	Secure  bool   // over https
	Host    string // in lower case, without the port
	ID      string // of this request
	Central bool   // to Central Administration's port
	Body    []byte
	Login   string   // DOMAIN\name of who has signed in
	Offers  []string // the values of WWW-Authenticate

	base   string // server-relative path of the site, without a slash at the end
	rest   string // the path after it
	person Person
}

func (r *Request) scheme() string {
	if r.Secure {
		return "https"
	}
	return "http"
}

// Answer is what the farm says.
type Answer struct {
	Name   string // for the record
	Status int
	Header http.Header
	Body   []byte
	Error  string // code or reason of a refusal, for the record
}

func newAnswer(name string, status int, contentType, body string) *Answer {
	a := &Answer{Name: name, Status: status, Header: http.Header{}, Body: []byte(body)}
	if contentType != "" {
		a.Header.Set("Content-Type", contentType)
	}
	return a
}

func (a *Answer) because(code string) *Answer { a.Error = code; return a }

// Greet writes the headers that all answers of a server with SharePoint have, also
// those that ask for a sign-in: MicrosoftSharePointTeamServices is configured in IIS.
//
// Source: [MS-WSSHP] for X-SharePointHealthScore, and answers of real servers.
func (f *Farm) Greet(h http.Header, id string) {
	h["SPRequestGuid"] = []string{id} // as SharePoint writes it
	h["request-id"] = []string{id}
	h["X-SharePointHealthScore"] = []string{"0"}
	h["SPRequestDuration"] = []string{"7"}
	h["SPIisLatency"] = []string{"0"}
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h["X-MS-InvokeApp"] = []string{"1; RequireReadOnly"}
	h.Set("X-Content-Type-Options", "nosniff")
	h["MicrosoftSharePointTeamServices"] = []string{f.Version().Header}
}

// label is what a request to this web application is called in the record.
func (r *Request) label(what string) string {
	if r.Central {
		return "central administration " + what
	}
	return "sharepoint " + what
}

// Serve answers somebody who has signed in.
func (f *Farm) Serve(r *Request) *Answer {
	r.split()
	r.person = f.personOf(r.Login)
	if a := f.broken(r); a != nil {
		return a
	}
	service := strings.ToLower(r.rest)
	switch app := f.application(r); {
	case strings.HasPrefix(service, "/_api/") || service == "/_api":
		return f.rest(app, r)
	case service == "/_vti_bin/sitedata.asmx":
		return f.siteData(app, r)
	case strings.HasPrefix(service, "/_vti_bin/"):
		return notFound(r, "service not found")
	default:
		return f.page(app, r)
	}
}

// markers begin the part of a path that is not the site's own.
var markers = []string{"/_api", "/_vti_bin", "/_layouts", "/_forms", "/_login", "/_windows", "/_trust"}

// split parts the path of a site from that of the service in it.
func (r *Request) split() {
	path := r.URL.Path
	at := len(path)
	for i := 0; i < len(path) && at == len(path); i++ {
		for _, m := range markers {
			if end := i + len(m); end <= len(path) && strings.EqualFold(path[i:end], m) && (end == len(path) || path[end] == '/') {
				at = i
			}
		}
	}
	r.base, r.rest = strings.TrimRight(path[:at], "/"), path[at:]
	if r.rest == "" { // a page: which site it is in, the caller finds
		r.base, r.rest = strings.TrimRight(path, "/"), "/"
	}
}

// notFound is what SharePoint says where there is nothing.
func notFound(r *Request, name string) *Answer {
	return newAnswer(r.label(name), http.StatusNotFound, "text/plain; charset=utf-8", "404 FILE NOT FOUND").because("not found")
}

// denied401 is what SharePoint says to who has no right, or none any more, where it
// asks for other credentials.
func denied401(r *Request, name string) *Answer {
	a := newAnswer(r.label(name), http.StatusUnauthorized, "text/plain; charset=utf-8", "401 UNAUTHORIZED").because("access denied")
	a.Header["Www-Authenticate"] = r.Offers // in place of what the sign-in has written
	return a
}
