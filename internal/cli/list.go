package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
)

func newList(a *app) *cobra.Command {
	var within period
	cmd := &cobra.Command{
		Annotations: map[string]string{quick: "yes"},
		Use:         "list", Aliases: []string{"ls"}, Short: "List the saved connections", GroupID: groupConnect,
		Long: `Lists the saved connections with the state of their last verification and the
days until their certificate expires. A damaged file is reported and left alone;
the exit code is then 1.

--expires-within lists only what ends within that time, and the exit code is 5 where
there is any. It looks at the saved dates and asks nobody, so a timer can run it
often; the end of a client secret is known only where c2conn made it.`,
		Example: "  c2conn list\n  c2conn list --expires-within 30d\n  c2conn list --output json\n  c2conn list --output name | xargs -n1 c2conn verify",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := a.store()
			if err != nil {
				return err
			}
			entries, err := store.List(cmd.Context())
			if err != nil {
				return err
			}
			if cmd.Flags().Changed(expiresWithin) {
				return a.printEnding(entries, time.Duration(within))
			}
			return a.printList(entries, "No connections yet. Create one: c2conn new exchange\n")
		},
	}
	addExpiresWithin(cmd, &within, "list only what ends within this time, for example 30d; exit code 5 where there is any")
	return cmd
}

type listJSON struct {
	Connections []*connections.Connection `json:"connections"`
	Problems    []problemJSON             `json:"problems,omitempty"`
}

type problemJSON struct {
	Path  string `json:"path"`
	Error string `json:"error"`
}

// printList prints connections, and in the form of a table a sentence where there is none.
func (a *app) printList(entries []connections.Entry, none string) error {
	doc := listJSON{Connections: make([]*connections.Connection, 0, len(entries))}
	names := make([]string, 0, len(entries))
	for i := range entries {
		e := &entries[i]
		if e.Err != nil {
			doc.Problems = append(doc.Problems, problemJSON{e.Path, clean(e.Err.Error())})
			continue
		}
		doc.Connections = append(doc.Connections, &e.Connection)
		names = append(names, e.Connection.Name)
	}
	err := a.print(printable{value: doc, name: strings.Join(names, "\n"), table: func() string {
		if len(doc.Connections) == 0 && len(doc.Problems) == 0 {
			return none
		}
		return listTable(doc.Connections, a.Clock.Now())
	}})
	if err != nil {
		return err
	}
	if a.output == "table" {
		a.sayEnding(doc.Connections, connections.ExpirySoon)
	}
	for _, p := range doc.Problems {
		a.errorf("✗ %s\n", p.Error)
	}
	if len(doc.Problems) > 0 {
		return &verdict{class: advice.ClassOther}
	}
	return nil
}

func listTable(list []*connections.Connection, now time.Time) string {
	if len(list) == 0 {
		return ""
	}
	rows := make([][]string, 1, len(list)+1)
	rows[0] = []string{"NAME", "KIND", "WHERE", "ACCOUNT", "STATE", "EXPIRES"}
	for _, c := range list {
		rows = append(rows, []string{c.Name, kindTitle(c.Kind), where(*c), c.Account, stateText(c.Verification, now), endText(c.Credential, now)})
	}
	return columns(rows)
}

func kindTitle(k connections.Kind) string {
	switch k {
	case connections.Exchange:
		return "Exchange"
	case connections.SharePoint:
		return "SharePoint"
	case connections.MigrationSource:
		return "Migration source"
	case connections.MigrationTarget:
		return "Migration target"
	}
	return string(k)
}

func where(c connections.Connection) string {
	if c.Location == connections.OnPremises {
		return "On-premises"
	}
	if c.Cloud != "" && c.Cloud != "global" {
		return "Online (" + c.Cloud + ")"
	}
	return "Online"
}

func stateText(v connections.Verification, now time.Time) string {
	word := "not verified"
	switch v.State {
	case connections.StateVerified:
		word = "verified"
	case connections.StateWaiting:
		word = "waiting for consent"
	}
	s := sign(v.State) + " " + word
	switch {
	case v.At.IsZero():
	case v.State == connections.StateVerified:
		s += " " + ago(now, v.At)
	default:
		s += ", checked " + ago(now, v.At)
	}
	return s
}

// adminTitle is what Endpoints.Admin is called where the connection leads.
func adminTitle(c connections.Connection) string {
	if c.Location == connections.OnPremises {
		return "Central Administration"
	}
	return "Admin centre URL"
}

// connectionTable is everything about a connection, a line each.
// more are further lines.
func connectionTable(c connections.Connection, now time.Time, more ...[]string) string {
	rows := [][]string{
		{"Name", c.Name},
		{"Kind", kindTitle(c.Kind) + ", " + where(c)},
		{"State", stateText(c.Verification, now)},
		{"Tenant", strings.Join(compact(clean(c.Tenant.Name), c.Tenant.Domain, c.Tenant.ID), " · ")},
		{"Account", c.Account},
		{"Application", strings.Join(compact(c.Registration.AppName, c.Registration.ClientID, c.Registration.Mode), " · ")},
		{"Credential", credentialText(c.Credential, now) + graphOnly(c)},
		{"Kept in", keptIn(c.Credential)},
		{"Server", c.Endpoints.Server},
		{"EWS URL", c.Endpoints.EWS},
		{"Found by", c.Endpoints.Autodiscover},
		{"PowerShell URL", c.Endpoints.PowerShell},
		{"Domain", c.Endpoints.Domain},
		{"Trusted certificates", pinsText(c.Pins)},
		{"SharePoint URL", c.Endpoints.SharePoint},
		{adminTitle(c), c.Endpoints.Admin},
		{"Permissions", permissionsText(c)},
		{"Admin (legacy)", legacyText(c.LegacyAdmin)},
		{"Checks", checksText(c.Verification.Checks)},
	}
	var kept [][]string
	for _, r := range append(rows, more...) {
		if r[1] != "" {
			kept = append(kept, r)
		}
	}
	return columns(kept)
}

// pinsText lists the certificates that somebody trusted.
func pinsText(pins map[string]string) string {
	var list []string
	for _, host := range slices.Sorted(maps.Keys(pins)) {
		list = append(list, host+" SHA-256 "+pins[host])
	}
	return clean(strings.Join(list, " · "))
}

// graphOnly says what a client secret is not good for.
func graphOnly(c connections.Connection) string {
	if c.Kind == connections.SharePoint && c.Credential.Type == connections.TypeClientSecret {
		return " (Microsoft Graph only: SharePoint refuses it)"
	}
	return ""
}

// permissionsText says which set of permissions was asked for, where it is not the
// recommended one.
func permissionsText(c connections.Connection) string {
	if c.Registration.Permissions == "" {
		return ""
	}
	return "the documented set alone (" + clean(c.Registration.Permissions) + ")"
}

func legacyText(l connections.LegacyAdmin) string {
	switch {
	case l.UPN == "":
		return ""
	case l.Password == "":
		return l.UPN
	}
	return l.UPN + ", password kept, never verified"
}

func compact(parts ...string) []string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return out
}

func credentialText(c connections.Credential, now time.Time) string {
	switch c.Type {
	case connections.TypeCertificate:
		return fmt.Sprintf("certificate %s, until %s (%s)", c.Thumbprint, c.NotAfter.Format(time.DateOnly), left(now, c.NotAfter))
	case connections.TypeClientSecret:
		if c.NotAfter.IsZero() {
			return "client secret, end not known"
		}
		return fmt.Sprintf("client secret, until %s (%s)", c.NotAfter.Format(time.DateOnly), left(now, c.NotAfter))
	}
	if c.PlainNTLM {
		return c.Type + ", over http also with NTLM"
	}
	return c.Type
}

func keptIn(c connections.Credential) string {
	switch ref := string(c.Secret); {
	case strings.HasPrefix(ref, "store:"):
		return "c2conn's store, encrypted"
	case strings.HasPrefix(ref, "windows:"):
		return "Windows certificate store (CurrentUser\\My)"
	default:
		return ref
	}
}
