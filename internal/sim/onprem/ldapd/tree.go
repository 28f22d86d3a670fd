package ldapd

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Attributes are an entry's attributes by their names as Active Directory spells
// them. Values are strings of bytes.
type Attributes map[string][]string

// Tree holds the naming contexts of a simulated domain controller. It may be
// changed while servers read it.
type Tree struct {
	mu      sync.RWMutex
	entries map[string]*entry
	order   []*entry            // as added, in which answers come
	back    map[string][]string // key of a member -> names of the groups it is in directly
	syntax  map[string]syntax   // lower-case attribute -> how it is compared; others do not exist

	contexts  []namingContext // naming contexts that this server holds
	elsewhere []namingContext // those it knows of only, for referrals
	root      Attributes
}

// namingContext is a naming context; host answers for it.
type namingContext struct {
	name dn
	text string
	host string
}

type entry struct {
	name  dn
	text  string
	attrs map[string]attribute // by lower-case name
}

type attribute struct {
	name   string
	values []string
}

// NewTree returns an empty tree whose schema has the attributes that Active
// Directory itself brings; with exchange also those that Exchange adds.
func NewTree(exchange bool) *Tree {
	t := &Tree{entries: map[string]*entry{}, back: map[string][]string{}, syntax: map[string]syntax{}, root: Attributes{}}
	for name, s := range schema(exchange) {
		t.syntax[strings.ToLower(name)] = s
	}
	return t
}

// Add puts an entry into the tree. Errors: a name that is none or is taken, a
// parent that is missing (unless the entry is the top of a naming context), or an
// attribute that the schema does not have.
func (t *Tree) Add(name string, attrs Attributes) error {
	parsed, ok := parseDN(name)
	if !ok || len(parsed) == 0 {
		return fmt.Errorf("ldapd: %q is no distinguished name", name)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.entries[parsed.key()] != nil {
		return fmt.Errorf("ldapd: %q is there already", name)
	}
	top := slices.ContainsFunc(t.contexts, func(c namingContext) bool { return c.name.key() == parsed.key() })
	if !top && t.entries[parsed.parent().key()] == nil {
		return fmt.Errorf("ldapd: %q has no parent", name)
	}
	e := &entry{name: parsed, text: name, attrs: map[string]attribute{}}
	for _, kind := range sortedKeys(attrs) {
		if err := t.set(e, kind, attrs[kind]); err != nil {
			return err
		}
	}
	t.derive(e)
	t.entries[parsed.key()] = e
	t.order = append(t.order, e)
	return nil
}

// Set replaces the values of one attribute; none at all removes it.
func (t *Tree) Set(name, kind string, values ...string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	parsed, ok := parseDN(name)
	e := t.entries[parsed.key()]
	if !ok || e == nil {
		return fmt.Errorf("ldapd: there is no entry %q", name)
	}
	return t.set(e, kind, values)
}

// Get returns the values of one attribute, nil where entry or attribute is missing.
func (t *Tree) Get(name, kind string) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	parsed, ok := parseDN(name)
	e := t.entries[parsed.key()]
	if !ok || e == nil {
		return nil
	}
	return slices.Clone(t.values(e, strings.ToLower(kind)))
}

func (t *Tree) set(e *entry, kind string, values []string) error {
	lower := strings.ToLower(kind)
	if _, known := t.syntax[lower]; !known {
		return fmt.Errorf("ldapd: the schema has no attribute %q", kind)
	}
	if lower == "member" {
		t.unlink(e)
		for _, v := range values {
			member, ok := parseDN(v)
			if !ok {
				return fmt.Errorf("ldapd: member %q is no distinguished name", v)
			}
			t.back[member.key()] = append(t.back[member.key()], e.text)
		}
	}
	if len(values) == 0 {
		delete(e.attrs, lower)
		return nil
	}
	e.attrs[lower] = attribute{kind, slices.Clone(values)}
	return nil
}

// unlink forgets the memberships that group e gave.
func (t *Tree) unlink(e *entry) {
	for _, v := range e.attrs["member"].values {
		if member, ok := parseDN(v); ok {
			t.back[member.key()] = slices.DeleteFunc(t.back[member.key()], func(group string) bool { return group == e.text })
		}
	}
}

// derive adds what every object has: its name, its RDN's attribute and its DN.
func (t *Tree) derive(e *entry) {
	part := splitDN(e.text)[0]
	kind, value, _ := strings.Cut(part, "=")
	value, _ = unescape(strings.TrimLeft(value, " "))
	add := func(name, v string) {
		lower := strings.ToLower(name)
		if _, there := e.attrs[lower]; !there {
			e.attrs[lower] = attribute{name, []string{v}}
		}
	}
	add("name", value)
	add(strings.ToLower(strings.TrimSpace(kind)), value)
	add("distinguishedName", e.text)
}

// values returns an attribute's values; memberOf is made from the groups' members.
func (t *Tree) values(e *entry, lower string) []string {
	if lower == "memberof" {
		return t.back[e.name.key()]
	}
	return e.attrs[lower].values
}

// find returns an entry, nil where there is none.
func (t *Tree) find(name dn) *entry { return t.entries[name.key()] }

// contextOf returns the naming context that holds name: the one with the longest
// name above it, whether this server has it or another one.
func (t *Tree) contextOf(name dn) (c namingContext, here, found bool) {
	look := func(list []namingContext, local bool) {
		for _, x := range list {
			if name.under(x.name) && (!found || len(x.name) > len(c.name)) {
				c, here, found = x, local, true
			}
		}
	}
	look(t.contexts, true)
	look(t.elsewhere, false)
	return c, here, found
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
