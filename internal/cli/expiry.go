package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
)

// expiresWithin is the flag for the time in which nothing may end.
const expiresWithin = "expires-within"

func addExpiresWithin(cmd *cobra.Command, p *period, help string) {
	cmd.Flags().Var(p, expiresWithin, help)
	cmd.Flags().Lookup(expiresWithin).DefValue = "" // without the flag nothing is asked for
}

// endText says when a credential ends, and plainly where that is not known.
func endText(c connections.Credential, now time.Time) string {
	if c.NotAfter.IsZero() && c.Type == connections.TypeClientSecret {
		return "unknown"
	}
	return left(now, c.NotAfter)
}

// ending are the connections whose credential ends within a time from now, and those
// of whose client secret nobody here knows the end.
func ending(list []*connections.Connection, now time.Time, within time.Duration) (soon, unknown []*connections.Connection) {
	for _, c := range list {
		switch k := c.Credential; {
		case k.ExpiresWithin(now, within):
			soon = append(soon, c)
		case k.NotAfter.IsZero() && k.Type == connections.TypeClientSecret:
			unknown = append(unknown, c)
		}
	}
	return soon, unknown
}

// sayEnding tells beneath a list what ends soon, and which command renews it.
func (a *app) sayEnding(list []*connections.Connection, within time.Duration) {
	soon, _ := ending(list, a.Clock.Now(), within)
	if len(soon) == 0 {
		return
	}
	p := period(within)
	name := "NAME"
	if len(soon) == 1 {
		name = advice.ShellWord(soon[0].Name)
	}
	a.errorf("\n! %s within %s, or has expired: %s. Renew it: c2conn rotate %s\n", plural(len(soon), "credential ends", "credentials end"), &p, someNames(soon), name)
}

// printEnding is the list of what ends within a time; its exit code says whether there
// is any.
func (a *app) printEnding(entries []connections.Entry, within time.Duration) error {
	var usable []*connections.Connection
	var kept []connections.Entry
	now := a.Clock.Now()
	for i := range entries {
		e := &entries[i]
		if e.Err != nil || e.Connection.Credential.ExpiresWithin(now, within) {
			kept = append(kept, *e)
		}
		if e.Err == nil {
			usable = append(usable, &e.Connection)
		}
	}
	soon, unknown := ending(usable, now, within)
	err := a.printList(kept, "")
	p := period(within)
	if len(soon) == 0 && a.output == "table" {
		a.errorf("No credential is known to end within %s.\n", &p)
	}
	if len(unknown) > 0 && a.output == "table" {
		a.errorf("! The end of %s is not known: %s. Look in the Entra admin centre › App registrations › Certificates & secrets.\n", plural(len(unknown), "client secret", "client secrets"), someNames(unknown))
	}
	if len(soon) > 0 {
		return &verdict{class: advice.ClassCheck}
	}
	return err
}

// someNames lists names, and the number of the others where they are many.
func someNames(list []*connections.Connection) string {
	const most = 5
	var names []string
	for _, c := range list[:min(len(list), most)] {
		names = append(names, c.Name)
	}
	text := strings.Join(names, ", ")
	if more := len(list) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
