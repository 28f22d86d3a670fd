package registration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/graph"
)

// gone tells what has become of a registration that is not found.
func gone(ctx context.Context, g directory, c connections.Connection, t connections.Tenant) error {
	e := &advice.RegistrationGoneError{Connection: c.Name, Kind: c.Kind, ClientID: c.Registration.ClientID, Name: c.Registration.AppName, Tenant: t}
	deleted, err := g.DeletedApplications(ctx)
	switch i := slices.IndexFunc(deleted, func(a graph.Application) bool { return strings.EqualFold(a.AppID, e.ClientID) }); {
	case denied(err):
		e.Hidden = true
	case err != nil:
		return err
	case i >= 0:
		e.Name, e.Deleted = deleted[i].DisplayName, deleted[i].Deleted.UTC()
	}
	return e
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func tenantName(t connections.Tenant) string { return Plan{Tenant: t}.tenantText() }

// note writes down what people have to mend themselves. What a registration's plan
// would warn of is there already.
func (d *Drift) note(v view) {
	note := func(format string, args ...any) { d.Notes = append(d.Notes, fmt.Sprintf(format, args...)) }
	if d.DisabledByMicrosoft != "" {
		note("Microsoft has disabled the registration (%s); ask Microsoft's support why.", d.DisabledByMicrosoft)
	}
	if d.PrincipalDisabled {
		note("The service principal is disabled, so the application cannot sign in. To enable it: Entra admin centre › Enterprise applications › %s › Properties › Enabled for users to sign in.", d.AppName)
	}
	if c := d.Certificate; c != nil {
		where := "Certificates & secrets"
		if d.Pages.Credentials != "" {
			where += ", " + d.Pages.Credentials
		}
		if !c.Listed && d.unaddable != "" {
			note("The certificate of the connection is not in the registration. %s", d.unaddable)
		}
		if c.NotYetValid {
			note("The certificate is valid from %s on; until then the application cannot sign in with it.", laterOf(c.NotBefore, c.RegisteredStart).Format("2006-01-02 15:04 MST"))
		}
		switch {
		case c.EndDiffers && c.RegisteredEnd.Before(c.NotAfter):
			note("The certificate lasts until %s, but the registration takes it until %s only. To mend that, remove it from the registration and add it again: %s.", date(c.NotAfter), date(c.RegisteredEnd), where)
		case c.EndDiffers:
			note("The certificate lasts until %s; the registration says %s. The earlier one counts.", date(c.NotAfter), date(c.RegisteredEnd))
		case c.Listed && c.Expired:
			note("The certificate expired on %s. Make a new one and add it: %s.", date(c.NotAfter), where)
		}
	}
	if d.purpose.Secret && len(v.app.Secrets) == 0 {
		note("The registration has no client secret, so the connection's cannot work. Make the connection anew with a new one, better with a certificate.")
	}
	if n := v.elsewhere(); n > 0 {
		note("The application also has %s on other services, which c2conn does not judge.", count(n, "permission"))
	}
	if len(d.UsedBy) > 0 && len(d.Superfluous)+len(d.Others) > 0 {
		note("The registration is also used by %s.", strings.Join(d.UsedBy, ", "))
	}
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Text writes what was found for people, in lines of at most width characters where
// words allow it; 0 means 80. What Repair will do about it is in the text of Plan.
func (d *Drift) Text(width int) string {
	if width <= 0 {
		width = 80
	}
	var b strings.Builder
	line := func(indent, text string) { b.WriteString(indent + fold(text, width-len(indent), indent) + "\n") }
	section := func(title string) { b.WriteString("\n" + fold(title, width, "") + "\n") }
	line("", d.AppName+" (client id "+d.ClientID+") in "+tenantName(d.Tenant))
	if d.Clean() {
		line("", "The registration is as "+d.Connection+" needs it.")
		return b.String()
	}
	if len(d.plan.Permissions) > 0 {
		section("What the connection needs and the registration lacks:")
	}
	for _, q := range d.plan.Permissions {
		is := func(o PlannedPermission) bool { return o.Resource == q.Resource && o.Role == q.Role }
		var lacks []string
		if slices.ContainsFunc(d.NotListed, is) {
			lacks = append(lacks, "not asked for")
		}
		if slices.ContainsFunc(d.Missing, is) {
			lacks = append(lacks, "no consent")
		}
		line("  ", named(q)+": "+strings.Join(lacks, ", "))
		line("    ", "Needed "+q.Why+".")
	}
	if len(d.Superfluous) > 0 {
		section("More than the connection uses; c2conn removes nothing:")
		for _, x := range d.Superfluous {
			line("  ", x.ResourceTitle+" › "+x.Role+marks(true, x.Writes))
			if x.Allows != "" {
				line("    ", "Allows: "+x.Allows+".")
			}
		}
		line("  ", strings.TrimSuffix("If no other program needs them, remove them: App registrations › API permissions, "+d.Pages.Permissions, ", "))
	}
	if d.addsCertificate() {
		section("The certificate of the connection is not in the registration:")
		line("  ", d.Certificate.Thumbprint+", until "+date(d.Certificate.NotAfter))
	}
	if d.PrincipalMissing {
		section("The application has no service principal: nobody can sign in as it.")
	}
	if len(d.Others) > 0 {
		section("Other credentials that are over or soon will be:")
		for _, x := range d.Others {
			end := "expires " + date(x.NotAfter)
			if x.Expired {
				end = "expired " + date(x.NotAfter)
			}
			line("  ", strings.ReplaceAll(x.Type, "-", " ")+" "+x.Name+" (key id "+x.KeyID+"): "+end)
		}
	}
	if len(d.Notes) > 0 {
		section("Mind:")
		for _, n := range d.Notes {
			b.WriteString("  ! " + fold(n, width-4, "    ") + "\n")
		}
	}
	return b.String()
}
