package wizard

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/registration"
)

// manageRow is a connection as the dashboard shows it, saved or as it would be.
type manageRow struct {
	c        connections.Connection
	err      error // its file cannot be used
	change   *connections.Change
	conflict *connections.ConflictError
	obsolete []string // why it is
	search   string   // all that a filter looks at, in lower case
	cells    [8]string
}

// The columns, in the order in which they stand.
const (
	colName = iota
	colKind
	colWhere
	colTenant
	colAccount
	colAuth
	colState
	colExpires
	columnCount
)

var (
	columnTitles = [columnCount]string{"NAME", "KIND", "WHERE", "TENANT", "ACCOUNT", "SIGNS IN BY", "STATE", "EXPIRES"}
	columnKeys   = [columnCount]string{"name", "kind", "where", "tenant", "account", "sign-in", "state", "expiry"}
	columnLimits = [columnCount]int{40, 16, 24, 28, 34, 13, 23, 10}
	// columnsFirst is the order in which they get a place.
	columnsFirst = []int{colName, colState, colExpires, colKind, colWhere, colAccount, colAuth, colTenant}
)

// makeRows gathers what is known of each connection; deleted ones stay in sight.
func makeRows(entries []connections.Entry, pending []connections.Change, conflicts []*connections.ConflictError, clouds *cloud.Set) []*manageRow {
	rows := make([]*manageRow, 0, len(entries))
	changes := make(map[string]*connections.Change, len(pending))
	for i, c := range pending {
		changes[c.ID] = &pending[i]
		if c.Deleted {
			entries = append(entries, connections.Entry{Connection: c.Base})
		}
	}
	against := make(map[string]*connections.ConflictError, len(conflicts))
	for _, c := range conflicts {
		against[c.Name] = c
	}
	for _, e := range entries {
		r := &manageRow{c: e.Connection, err: e.Err}
		if e.Err == nil {
			r.change = changes[e.Connection.ID]
			r.obsolete = obsolete(e.Connection, clouds)
		}
		if r.change != nil {
			if x := against[r.change.Name]; x != nil && x.Delete == r.change.Deleted {
				r.conflict = x
			}
		}
		r.fill()
		rows = append(rows, r)
	}
	return rows
}

func (r *manageRow) fill() {
	c := r.c
	r.cells[colName] = clean(c.Name)
	if r.err == nil {
		r.cells[colKind] = kindWord(c.Kind)
		r.cells[colWhere] = whereWord(c)
		r.cells[colTenant] = clean(cmp.Or(c.Tenant.Domain, c.Tenant.Name, c.Tenant.ID))
		r.cells[colAccount] = clean(c.Account)
		r.cells[colAuth] = strings.ReplaceAll(c.Credential.Type, "-", " ")
	}
	r.search = strings.ToLower(strings.Join(r.cells[:], "\n") + "\n" + c.Registration.ClientID + "\n" + c.Registration.AppName + "\n" + c.Tenant.ID)
}

func kindWord(k connections.Kind) string {
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
	return clean(string(k))
}

func whereWord(c connections.Connection) string {
	switch {
	case c.Location == connections.OnPremises:
		return clean(cmp.Or(c.Endpoints.Server, strings.TrimPrefix(c.Endpoints.SharePoint, "https://"), "On-premises"))
	case c.Cloud != "" && c.Cloud != cloud.Global:
		return "Online (" + clean(c.Cloud) + ")"
	}
	return "Online"
}

// obsolete tells why a connection should be made anew or changed, though it may work.
func obsolete(c connections.Connection, clouds *cloud.Set) (why []string) {
	if v := c.Registration.Catalogue; v != "" && v < registration.CatalogueVersion {
		why = append(why, fmt.Sprintf("It was registered with the permissions of %s; those of %s are current. c2conn verify --fix shows what differs, edit registers it anew.", clean(v), registration.CatalogueVersion))
	}
	if c.Location == connections.Online && clouds != nil {
		if _, err := clouds.Find(c.Cloud); err != nil {
			why = append(why, fmt.Sprintf("Its cloud %q cannot be used: %s", clean(c.Cloud), clean(err.Error())))
		}
	}
	if c.LegacyAdmin.UPN != "" {
		why = append(why, "It keeps an administrator ("+clean(c.LegacyAdmin.UPN)+") for older versions of the product. Microsoft no longer takes such a password; edit removes it.")
	}
	return why
}

// rowLook is a state by sign and word.
type rowLook struct {
	sign, word string
	rank       int // what needs somebody comes first
	style      rowStyle
}

// rowStyle says how good a state is; its colour is never the only sign of it.
type rowStyle int

const (
	stylePlain rowStyle = iota
	styleGood
	styleWarn
	styleBad
	styleFaint
)

// needsYou reports whether somebody has to do something about it.
func (l rowLook) needsYou() bool { return l.rank < 6 }

func (r *manageRow) look(now time.Time) rowLook {
	v := r.c.Verification
	switch {
	case r.err != nil:
		return rowLook{"✗", "damaged", 0, styleBad}
	case r.conflict != nil:
		return rowLook{"✗", "in conflict", 1, styleBad}
	case r.change != nil && r.change.Deleted:
		return rowLook{"–", "will be deleted", 8, styleFaint}
	case v.State == connections.StateFailed:
		return rowLook{"✗", "failed" + since(now, v.At), 2, styleBad}
	case v.State == connections.StateWaiting:
		return rowLook{"!", "waiting for consent", 3, styleWarn}
	case v.State != connections.StateVerified:
		return rowLook{"!", "not verified", 4, styleWarn}
	case len(r.obsolete) > 0:
		return rowLook{"!", "obsolete", 5, styleWarn}
	}
	return rowLook{"✓", "verified" + since(now, v.At), 7, styleGood}
}

func since(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " " + agoWords(now, t)
}

func agoWords(now, t time.Time) string {
	switch d := now.Sub(t); {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%d d ago", int(d.Hours()/24))
	}
}

// expiry says how long the credential lasts, and whether that is worrying.
func expiry(now, t time.Time) (text string, style rowStyle) {
	d := t.Sub(now)
	days := int(d.Hours() / 24)
	switch {
	case t.IsZero():
		return "–", styleFaint
	case d <= 0:
		return "✗ expired", styleBad
	case days <= 30:
		return fmt.Sprintf("%d d !", days), styleWarn
	case days < 730:
		return fmt.Sprintf("%d d", days), stylePlain
	}
	return fmt.Sprintf("%d y", days/365), stylePlain
}

// manageSort is an order of the rows.
type manageSort struct {
	by   string // one of columnKeys
	down bool
}

func (s manageSort) rows(rows []*manageRow, now time.Time) {
	column := slices.Index(columnKeys[:], s.by)
	slices.SortStableFunc(rows, func(a, b *manageRow) int {
		n := 0
		switch column {
		case colState:
			n = cmp.Compare(a.look(now).rank, b.look(now).rank)
		case colExpires:
			x, y := a.c.Credential.NotAfter, b.c.Credential.NotAfter
			switch {
			case x.IsZero() != y.IsZero():
				if x.IsZero() {
					return 1 // what has no end is last in either direction
				}
				return -1
			default:
				n = x.Compare(y)
			}
		case colName, -1:
		default:
			n = strings.Compare(a.cells[column], b.cells[column])
		}
		if n == 0 {
			n = strings.Compare(strings.ToLower(a.c.Name), strings.ToLower(b.c.Name))
		}
		if s.down {
			return -n
		}
		return n
	})
}

// filtered are the rows that have every word of the filter in them; words of the
// state count too.
func filtered(rows []*manageRow, filter string, now time.Time) []*manageRow {
	words := strings.Fields(strings.ToLower(filter))
	if len(words) == 0 {
		return slices.Clone(rows)
	}
	var list []*manageRow
	for _, r := range rows {
		state := r.look(now).word
		if r.change != nil {
			state += " " + ChangeWords(*r.change)
		}
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(r.search, w) && !strings.Contains(state, w) }) {
			list = append(list, r)
		}
	}
	return list
}

// damagedWords says what is wrong with a file and how to mend it.
func damagedWords(name string, err error) string {
	text := clean(err.Error())
	var damaged *connections.DamagedError
	if errors.As(err, &damaged) {
		text = "damaged"
		if damaged.Line > 0 {
			text += fmt.Sprintf(": line %d", damaged.Line)
		}
		text += ": " + clean(damaged.Err.Error())
	}
	return text + "; to mend it: c2conn edit " + advice.ShellWord(clean(name)) + " --editor"
}
