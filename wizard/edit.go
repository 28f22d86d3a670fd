package wizard

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
)

// byKeeping is the answer to "credential" that leaves it as it is; it exists only
// where a connection is edited.
const byKeeping = "keep"

// edit is what a session knows of the connection that it changes. All copies of a
// Session share it; nothing in it changes.
type edit struct {
	was    connections.Connection
	loaded Answers // as the connection was made
}

// Edit starts a session that changes c: the flow of its kind with every answer
// filled in. Save replaces c in Env.Profiles, after a verification; until then c is
// untouched. It keeps what no question is about (id, time of creation, fleet, fields
// of the file that c2conn does not know), and refuses with connections.ErrChanged
// where c was changed since.
//
// Also a connection that was registered automatically opens with manual registration
// and the details filled in, so that nothing is registered anew by itself. Whoever
// chooses automatic registration gets another registration in its place.
//
// Errors: a *NotEditableError for a connection that no flow makes.
func Edit(env *Env, c connections.Connection) (*Session, error) {
	flow := FlowOf(c.Kind)
	if flow == nil || flow.Location != "" && flow.Location != c.Location {
		return nil, &NotEditableError{Name: c.Name}
	}
	s := NewSession(flow, env)
	s.Load(c)
	s.edit = &edit{was: c}
	set := func(key, text string) { s.Answers[key] = Value{Text: text, Origin: FromUser} }
	if c.Location == connections.OnPremises {
		set(keySignInBy, byKeeping)
	} else {
		set(keyRegistration, byHand)
		set(keyCredential, byKeeping)
	}
	if c.Registration.AppName != "" {
		set(keyAppName, c.Registration.AppName) // so that it is found, should it be registered automatically
	}
	for key, v := range s.Answers {
		if v.Text == "" {
			delete(s.Answers, key)
		}
	}
	s.edit.loaded = s.Answers.Clone()
	s.edit.adapt(flow)
	for _, key := range []string{keyCentralPort, keyCentralURL} { // until one is changed, it follows the other
		if _, has := s.edit.loaded[key]; has {
			delete(s.Answers, key)
			s.edit.loaded[key] = s.Value(key)
		}
	}
	return s, nil
}

// NotEditableError says that the wizard cannot edit a connection: nothing but its file
// holds it.
type NotEditableError struct{ Name string }

func (e *NotEditableError) Error() string {
	return fmt.Sprintf("connection %s is not of a kind that the wizard makes; change its file with: c2conn edit %s --editor", e.Name, advice.ShellWord(e.Name))
}

// adapt makes of the flow that creates connections the one that changes this one.
func (e *edit) adapt(flow *Flow) {
	flow.Title = strings.Replace(flow.Title, "new ", "edit ", 1) + " " + e.was.Name
	flow.Verb = "edit " + advice.ShellWord(e.was.Name)
	flags := map[string]bool{}
	for _, f := range EditFlags() {
		flags[f.Key] = true
	}
	for i := range flow.Steps {
		st := &flow.Steps[i]
		for j := range st.Fields {
			f := &st.Fields[j]
			f.bySet = !flags[f.Key]
			e.adaptField(f)
		}
		switch st.ID {
		case "registration":
			st.Notice = e.registrationNotice
		case ConfigurationStep:
			st.Help = strings.TrimSuffix(st.Help, "Finish saves the connection.") +
				"The saved connection stays as it is until Finish replaces it."
		}
	}
}

func (e *edit) adaptField(f *Field) {
	lookup := f.Lookup
	switch f.Key {
	case keyCredential, keySignInBy:
		if (f.Key == keySignInBy) != (e.was.Location == connections.OnPremises) {
			return // it moves: there is nothing to keep
		}
		options := f.Options
		f.Options = func(env *Env) []Option {
			return append([]Option{{Value: byKeeping, Title: "Keep the current one", Help: e.credential()}}, options(env)...)
		}
	case keyCentralPort:
		propose := f.Default
		f.Default = func(env *Env, a Answers) string { return cmp.Or(propose(env, a), e.centralPort()) }
	case keyCentralURL:
		if e.was.Location == connections.OnPremises {
			f.Default = e.centralURL
		}
	case keyPlainNTLM:
		if e.was.Credential.Type == connections.TypeTicketCache { // NTLM takes a password
			f.When = []Cond{onPremises(), Is(keySignInBy, byPassword, byReference)}
		}
	case keyAdminSecret:
		if f.Keep != nil && e.was.LegacyAdmin.Password != "" {
			f.Help = "Leave it empty to keep the one that is saved."
		}
	case keyName:
		// Its own name is not taken by another.
		f.Lookup = func(ctx context.Context, env *Env, a Answers) (string, string, error) {
			if name := a.Get(keyName); strings.EqualFold(name, e.was.Name) {
				return "", name, nil
			}
			return lookup(ctx, env, a)
		}
	case keyAccount:
		if lookup == nil {
			return
		}
		f.Lookup = func(ctx context.Context, env *Env, a Answers) (string, string, error) {
			if account := a.Get(keyAccount); strings.EqualFold(account, e.was.Account) {
				return "", account, nil
			}
			return lookup(ctx, env, a)
		}
	}
}

// centralPort is the port of Central Administration as it was; "" where there is none.
func (e *edit) centralPort() string {
	if e.was.Location != connections.OnPremises {
		return ""
	}
	return portOf(e.was.Endpoints.Admin)
}

// centralURL is the address of Central Administration as it was, which a verification has
// found to answer, with what was changed of server and port.
func (e *edit) centralURL(_ *Env, a Answers) string {
	was, err := url.Parse(e.was.Endpoints.Admin)
	sites, port := a[keySharePoint], a[keyCentralPort]
	if err != nil || sites.Err != nil || port.Err != nil || port.Text == "" {
		return ""
	}
	host := was.Hostname()
	if old, err := url.Parse(e.was.Endpoints.SharePoint); err == nil && strings.EqualFold(old.Hostname(), host) {
		if now, err := url.Parse(sites.Text); err == nil && now.Hostname() != "" {
			host = now.Hostname()
		}
	}
	return plainURL(&url.URL{Scheme: was.Scheme, Host: net.JoinHostPort(host, port.Text)})
}

// registrationNotice says what automatic registration means for the connection.
func (e *edit) registrationNotice(a Answers) string {
	if a.Get(keyRegistration) != byAuto {
		return "Manual keeps the application; its details are filled in. Automatic puts another registration in its place."
	}
	text := "An application is registered, and the connection uses it from then on."
	if id := e.was.Registration.ClientID; id != "" {
		text += " The one that it uses now (" + cmp.Or(e.was.Registration.AppName, id) + ") stays in Entra ID; if the name is the same, you can choose to use it again, with a new credential."
	}
	return text + " It takes the role Global Administrator, or Privileged Role Administrator where users may register applications."
}

// credential says in a few words what the connection signs in with.
func (e *edit) credential() string {
	c := e.was.Credential
	if c.Type == connections.TypeTicketCache {
		return "The Kerberos tickets of whoever is logged on."
	}
	what, until := "client secret", ""
	if c.Type == connections.TypePassword {
		what = "password"
	}
	if c.Type == connections.TypeCertificate && len(c.Thumbprint) >= 8 {
		what = "certificate " + c.Thumbprint[:8] + "…"
	}
	if !c.NotAfter.IsZero() {
		until = ", until " + c.NotAfter.UTC().Format("2006-01-02")
	}
	switch c.Secret.Scheme() {
	case connections.SchemeFile, connections.SchemeEnv, connections.SchemeExec:
		return "Kept elsewhere: " + what + until + "."
	}
	return "The " + what + until + "; nothing has to be typed."
}

// over lays what the answers ask for over the connection as it was: what no question
// is about stays.
func (e *edit) over(s *Session, asked connections.Connection) connections.Connection {
	c := e.was
	c.Verification = connections.Verification{}
	c.Name, c.Location, c.Cloud, c.Account = asked.Name, asked.Location, asked.Cloud, asked.Account
	if !strings.EqualFold(asked.Account, e.was.Account) {
		c.AccountID = ""
	}
	if asked.Location != e.was.Location { // nothing of the one is of use to the other
		c.Tenant, c.Registration, c.AccountID, c.LegacyAdmin, c.Pins = connections.Tenant{}, connections.Registration{}, "", connections.LegacyAdmin{}, nil
	}
	endpoints := asked.Endpoints
	if asked.Location == connections.OnPremises {
		endpoints = e.overServer(asked)
	} else if e.was.Location == asked.Location && strings.EqualFold(asked.Cloud, e.was.Cloud) {
		endpoints = e.was.Endpoints
		endpoints.EWS = cmp.Or(endpoints.EWS, asked.Endpoints.EWS)
		endpoints.SharePoint = cmp.Or(asked.Endpoints.SharePoint, endpoints.SharePoint)
		endpoints.Admin = cmp.Or(asked.Endpoints.Admin, endpoints.Admin)
	}
	c.Endpoints = endpoints
	if _, asks := s.Flow.Field(keyPermissions); asks && asked.Location == connections.Online {
		c.Registration.Permissions = asked.Registration.Permissions
	}
	if _, asks := s.Flow.Field(keyLegacy); asks && asked.Location == connections.Online {
		password := e.was.LegacyAdmin.Password
		if c.LegacyAdmin = asked.LegacyAdmin; c.LegacyAdmin.UPN != "" {
			c.LegacyAdmin.Password = password
		}
	}
	return c
}

// overServer are the addresses of an on-premises connection. To Exchange: what
// Autodiscover found stays while it is to be used, and for the same account.
func (e *edit) overServer(asked connections.Connection) connections.Endpoints {
	endpoints, was := asked.Endpoints, e.was
	if discovered := was.Endpoints.Autodiscover != "" && endpoints.EWS == "" && strings.EqualFold(asked.Account, was.Account); discovered {
		endpoints.EWS, endpoints.Server, endpoints.Autodiscover = was.Endpoints.EWS, was.Endpoints.Server, was.Endpoints.Autodiscover
	}
	return endpoints
}

// sameApp tells whether c uses the registration that the connection used before.
func (e *edit) sameApp(c connections.Connection) bool {
	return strings.EqualFold(c.Registration.ClientID, e.was.Registration.ClientID) && strings.EqualFold(c.Cloud, e.was.Cloud)
}

// keepOn takes over what is still true of the registration and the credential that
// the connection had.
func (e *edit) keepOn(c *connections.Connection) {
	was := e.was
	if e.sameApp(*c) {
		permissions := c.Registration.Permissions
		mode := cmp.Or(was.Registration.Mode, c.Registration.Mode)
		c.Registration = was.Registration
		c.Registration.Mode, c.Registration.Permissions = mode, permissions
		if strings.EqualFold(c.Credential.Thumbprint, was.Credential.Thumbprint) && c.Credential.Thumbprint != "" {
			c.Credential.KeyID = was.Credential.KeyID
		}
	} else {
		c.Registration.AppName, c.Registration.ObjectID = "", ""
	}
	if strings.EqualFold(c.Tenant.ID, was.Tenant.ID) {
		c.Tenant = was.Tenant
	} else {
		c.AccountID = "" // that of a user of the other tenant
	}
}

// keptCredential loads the credential that the connection has, and leaves it where it is.
func (s *Session) keptCredential(ctx context.Context, out *Outcome) (entra.Credential, error) {
	was := s.edit.was
	cred, err := entra.LoadCredential(ctx, s.Env.Store, s.Env.Personal, was)
	if err != nil {
		return cred, problem(s, keyCredential, err)
	}
	out.keep = func(context.Context) (kept, error) {
		return kept{ref: was.Credential.Secret, password: was.Credential.Password}, nil
	}
	if cred.Identity == nil {
		out.Connection.Credential.NotAfter = was.Credential.NotAfter
		if s.edit.sameApp(out.Connection) {
			out.Connection.Credential.KeyID = was.Credential.KeyID
		}
	}
	return cred, nil
}

// replace puts conn in the place of the connection that it was made of.
func (s *Session) replace(ctx context.Context, conn connections.Connection) (connections.Connection, error) {
	was := s.edit.was
	return s.Env.profiles().Update(ctx, was.ID, func(c *connections.Connection) error {
		if !sameProfile(*c, was) {
			return fmt.Errorf("connection %s was %w while you edited it; nothing was saved, edit it again to see how it is now", was.Name, connections.ErrChanged)
		}
		*c = conn
		return nil
	})
}

// sameProfile compares what people decide about a connection as it is now with how it
// was. What a verification writes may change at any time, and does no harm.
func sameProfile(now, was connections.Connection) bool {
	bare := func(c connections.Connection) []byte {
		c.Verification, c.AccountID, c.Registration.ObjectID = connections.Verification{}, "", ""
		c.Tenant.Domain, c.Tenant.Name = "", ""
		c.Updated, c.Pins = c.Created, nil
		admin := c.Endpoints.Admin
		c.Endpoints = connections.Endpoints{SharePoint: c.Endpoints.SharePoint, EWS: c.Endpoints.EWS, PowerShell: c.Endpoints.PowerShell, Domain: c.Endpoints.Domain}
		if c.Location == connections.OnPremises { // online the tenant tells it
			c.Endpoints.Admin = admin
		}
		if c.Location == connections.OnPremises && c.Endpoints.Autodiscover != "" {
			c.Endpoints.EWS = "" // Autodiscover told it
		}
		data, err := json.Marshal(c)
		if err != nil {
			return nil // a Connection is plain data
		}
		return data
	}
	if toTLS(was.Endpoints.Admin, now.Endpoints.Admin) {
		was.Endpoints.Admin = now.Endpoints.Admin
	}
	return string(bare(now)) == string(bare(was))
}

// toTLS reports whether two addresses of Central Administration differ by what a
// verification finds: https on a port that was said to have http. The other way is what
// somebody decides.
func toTLS(was, now string) bool {
	from, errFrom := url.Parse(was)
	to, errTo := url.Parse(now)
	return errFrom == nil && errTo == nil && from.Scheme == "http" && to.Scheme == "https" && strings.EqualFold(from.Hostname(), to.Hostname()) && portOf(was) == portOf(now)
}

// replaced cleans up after a connection was replaced, and says what stays. Where
// profiles are staged, the secrets of the old version are needed until they are saved.
func (s *Session) replaced(ctx context.Context, now connections.Connection) (notes []string) {
	was := s.edit.was
	if s.Env.Profiles == nil {
		if err := s.Env.Store.Release(ctx, was); err != nil {
			notes = append(notes, "The connection is saved, but a secret that only its old version used could not be removed: "+err.Error())
		}
	}
	if was.Fleet != "" {
		notes = append(notes, fmt.Sprintf("The file of the fleet %s describes this connection. Change it there too: otherwise the next apply of that file changes it back.", was.Fleet))
	}
	cl, err := s.Env.Clouds.Find(was.Cloud)
	link := func(page func(cloud.Cloud, string) string) string {
		if err != nil || was.Registration.ClientID == "" {
			return ""
		}
		return " " + page(cl, was.Registration.ClientID)
	}
	otherCredential := was.Credential.Type != now.Credential.Type || was.Credential.Secret != now.Credential.Secret ||
		!strings.EqualFold(was.Credential.Thumbprint, now.Credential.Thumbprint)
	switch {
	case was.Registration.ClientID != "" && !s.edit.sameApp(now):
		notes = append(notes, fmt.Sprintf("The application that the connection used before stays in Entra ID (%s). When nothing needs it any more, delete it there:%s",
			strings.TrimSpace(was.Registration.AppName+" "+was.Registration.ClientID), link(cloud.Cloud.AppOverview)))
	case otherCredential && was.Location == connections.Online:
		notes = append(notes, "The credential that the connection used before is still valid in Entra ID. When nothing needs it any more, remove it there:"+link(cloud.Cloud.AppCredentials))
	}
	if was.Credential.Type == connections.TypeCertificate && was.Credential.Secret.Scheme() == connections.SchemeStore && !strings.EqualFold(was.Credential.Thumbprint, now.Credential.Thumbprint) {
		notes = append(notes, "The certificate that the connection used before stays in the personal store. To delete it, if nothing else uses it: c2conn cert delete "+was.Credential.Thumbprint)
	}
	return notes
}
