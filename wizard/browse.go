package wizard

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/directory"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/internal/winauth"
)

// browseLimit is how long Active Directory is asked for what is offered beneath a field.
const browseLimit = 10 * time.Second

// browseHelp is the seeds' note on their Browse button.
const browseHelp = "Administrators are offered from Active Directory as soon as you can sign in there: by the Kerberos ticket of whoever is logged on, or when the password is typed. " +
	"For another domain, change the domain first. Only the own domain and trusted ones are listed: a name of any other has to be typed, and so has one that is not offered."

// signedInUser is the UPN that is proposed: of the Kerberos ticket, else what Windows
// says of whoever is logged on. "" where neither is there.
func signedInUser(env *Env) string {
	if env == nil || env.Getenv == nil {
		return ""
	}
	if ticket, ok := ticketOf(env, ""); ok {
		user, realm, _ := strings.Cut(ticket.Principal, "@")
		return user + "@" + strings.ToLower(realm)
	}
	if user, domain := env.Getenv("USERNAME"), env.Getenv("USERDNSDOMAIN"); user != "" && domain != "" {
		return user + "@" + strings.ToLower(domain)
	}
	return ""
}

// ticketOf is the ticket in a cache, where there is a usable one.
func ticketOf(env *Env, path string) (winauth.CachedTicket, bool) {
	if env.ReadFile == nil {
		return winauth.CachedTicket{}, false
	}
	c := connections.Connection{Credential: connections.Credential{Cache: expandHome(env, path)}}
	ticket, err := winauth.ReadCache(verify.TicketCache(c, env.Getenv), env.ReadFile)
	return ticket, err == nil && strings.Count(ticket.Principal, "/") == 0
}

// browse opens the directory of the answers' domain, as whoever can sign in there; nil
// without an error where nobody can yet.
func (env *Env) browse(ctx context.Context, a Answers) (*directory.Client, error) {
	c := connections.Connection{Account: a.Get(keyAdminUPN), Endpoints: connections.Endpoints{Domain: a.Get(keyADDomain)}}
	password := a[keyAdminSecret].Secret
	if password.IsZero() || c.Account == "" || a.Get(keySignInBy) != byPassword && a.Has(keySignInBy) {
		ticket, ok := ticketOf(env, a.Get(keyTickets))
		if !ok {
			return nil, nil
		}
		c.Account, password = ticket.Principal, connections.Secret{}
		c.Credential = connections.Credential{Type: connections.TypeTicketCache, Cache: expandHome(env, a.Get(keyTickets))}
	}
	_, suffix, _ := strings.Cut(c.Account, "@")
	s := &Session{Env: env}
	server, err := s.server(a, c, password)
	if err != nil {
		return nil, err
	}
	return directory.Open(ctx, directory.Options{
		Domain: strings.ToLower(cmp.Or(c.Endpoints.Domain, suffix)), Account: server.Account, Trust: server.Directory,
		Resolver: server.Reach.Resolver, Dial: server.Reach.Dial, Clock: env.Clock, Limit: browseLimit,
	})
}

// unreadable offers nothing, but says why.
func unreadable(err error) []Option {
	if err == nil {
		return nil
	}
	return []Option{{Title: "Active Directory cannot be searched: " + err.Error(), Unavailable: err.Error()}}
}

// suggested is what offer makes of the directory, within the time for that.
func suggested(ctx context.Context, env *Env, a Answers, offer func(context.Context, *directory.Client) ([]Option, error)) []Option {
	ctx, cancel := context.WithTimeout(ctx, browseLimit)
	defer cancel()
	d, err := env.browse(ctx, a)
	if d == nil {
		return unreadable(err)
	}
	defer d.Close()
	list, err := offer(ctx, d)
	if err != nil {
		return unreadable(err)
	}
	return list
}

// suggestDomains offers the domains whose accounts can sign in: the Locations of the
// seeds' Browse button.
func suggestDomains(ctx context.Context, env *Env, a Answers) []Option {
	return suggested(ctx, env, a, domainsOf)
}

func domainsOf(ctx context.Context, d *directory.Client) (list []Option, err error) {
	domains, err := d.Domains(ctx)
	for _, domain := range domains {
		if !domain.TheirAccounts() {
			continue
		}
		title := domain.Name
		if domain.Direction == directory.DirectionOwn {
			title += " (own domain)"
		} else {
			title += " (trusted)"
		}
		list = append(list, Option{Value: strings.ToLower(domain.Name), Title: title})
	}
	return list, err
}

// mailRemark is what matters of an account that needs a mailbox, and a right of Exchange.
func mailRemark(p directory.Person) string {
	switch {
	case p.HasMailbox == directory.No:
		return "no mailbox"
	case p.Exchange:
		return "Organization Management"
	}
	return ""
}

// noRemark is for accounts of which the directory tells nothing that matters.
func noRemark(directory.Person) string { return "" }

// suggestAdministrators is the seeds' Browse button: it offers administrators, each with
// what remark says.
func suggestAdministrators(remark func(directory.Person) string) func(context.Context, *Env, Answers) []Option {
	return func(ctx context.Context, env *Env, a Answers) []Option {
		return suggested(ctx, env, a, func(ctx context.Context, d *directory.Client) ([]Option, error) {
			people, err := d.Administrators(ctx, directory.Query{})
			return administratorsOf(people, remark), err
		})
	}
}

func administratorsOf(people directory.People, remark func(directory.Person) string) (list []Option) {
	for _, p := range people.List {
		if p.Disabled {
			continue
		}
		title, more := p.UPN, remark(p)
		if p.DisplayName != "" && !strings.EqualFold(p.DisplayName, p.UPN) {
			title += "  " + p.DisplayName
		}
		if p.NoUPN {
			more = "no UPN"
		}
		if more != "" {
			title += " (" + more + ")"
		}
		list = append(list, Option{Value: p.UPN, Title: title})
	}
	if people.More {
		list = append(list, Option{Title: fmt.Sprintf("more than %d; type the name", len(list)), Unavailable: "type the name"})
	}
	return list
}
