package registration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/graph"
)

// choose decides which registration is used; nil means a new one.
func choose(w Wish, f *Findings, now time.Time, run string) (*Existing, error) {
	var same []Existing
	for _, e := range f.Same {
		if run == "" || e.Run != run { // that one is being made
			same = append(same, e)
		}
	}
	lines := func() (found []string) {
		for _, e := range same {
			found = append(found, describe(e, now))
		}
		return found
	}
	if w.Use != "" {
		for _, e := range slices.Concat(same, f.Related) {
			if strings.EqualFold(e.AppID, w.Use) {
				return &e, nil
			}
		}
		if len(same) == 0 {
			return nil, fmt.Errorf("the tenant %s has no registration named “%s” with the client id %s", f.Tenant.Name, w.name(), w.Use)
		}
		return nil, &advice.ExistsError{Name: w.name(), Found: lines()}
	}
	switch {
	case len(same) == 0 || w.IfExists == ExistsNew:
		return nil, nil
	case w.IfExists == ExistsUse && len(same) == 1:
		return &same[0], nil
	case run != "":
		return nil, nil // settled when the run began
	default:
		return nil, &advice.ExistsError{Name: w.name(), Found: lines()}
	}
}

// describe tells registrations of the same name apart.
func describe(e Existing, now time.Time) string {
	parts := []string{"client id " + e.AppID}
	if !e.Created.IsZero() {
		parts = append(parts, "registered "+e.Created.UTC().Format(time.DateOnly)+" ("+age(e.Age(now))+")")
	}
	if e.Ours {
		parts = append(parts, "by c2conn")
	}
	if names := ownerNames(e.Owners); len(names) > 0 {
		parts = append(parts, "owner "+strings.Join(names, ", "))
	}
	parts = append(parts, count(len(e.Keys), "certificate")+lastOf(e, now))
	if n := len(e.Secrets); n > 0 {
		parts = append(parts, count(n, "client secret"))
	}
	if e.Disabled || e.DisabledByMicrosoft != "" {
		parts = append(parts, "disabled")
	}
	return strings.Join(parts, ", ")
}

func lastOf(e Existing, now time.Time) string {
	var last time.Time
	for _, k := range e.Keys {
		if k.End.After(last) {
			last = k.End
		}
	}
	switch {
	case last.IsZero():
		return ""
	case last.Before(now):
		return " (expired " + last.UTC().Format(time.DateOnly) + ")"
	default:
		return " (until " + last.UTC().Format(time.DateOnly) + ")"
	}
}

func ownerNames(owners []graph.Owner) (names []string) {
	for _, o := range owners {
		name := o.UPN
		if name == "" {
			name = o.Name
		}
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

func age(d time.Duration) string {
	switch days := int(d.Hours() / 24); {
	case days < 1:
		return "today"
	case days < 60:
		return count(days, "day") + " ago"
	case days < 730:
		return count(days/30, "month") + " ago"
	default:
		return count(days/365, "year") + " ago"
	}
}

func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "1 " + what
	default:
		return fmt.Sprintf("%d %ss", n, what)
	}
}
