package ldapd

import (
	"slices"
	"strings"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// generalizedTime writes a time as Active Directory does: whole seconds, and ".0Z"
// behind them (RFC 4517, section 3.3.13; MS-ADTS 3.1.1.2.2.2).
func generalizedTime(t time.Time) string { return t.UTC().Format("20060102150405") + ".0Z" }

// SetRootDSE sets attributes of the entry without a name, which anybody may read
// (MS-ADTS 3.1.1.3.2). The server itself adds time, protocol versions and what it supports.
func (t *Tree) SetRootDSE(attrs Attributes) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, v := range attrs {
		t.root[k] = slices.Clone(v)
	}
}

// AddContext adds a naming context that this server holds; host is the DNS name
// that answers for it. Its top entry is added by Add.
func (t *Tree) AddContext(name, host string) error { return t.addContext(&t.contexts, name, host) }

// Refer adds a naming context that another server holds, to which searches are referred.
func (t *Tree) Refer(name, host string) error { return t.addContext(&t.elsewhere, name, host) }

func (t *Tree) addContext(list *[]namingContext, name, host string) error {
	parsed, ok := parseDN(name)
	if !ok || len(parsed) == 0 {
		return errMalformed
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	*list = append(*list, namingContext{parsed, name, host})
	return nil
}

func (x *session) rootDSE(q request) []*ber.Packet {
	t, s := x.s.o.Tree, q.search
	t.mu.RLock()
	defer t.mu.RUnlock()
	// The root DSE answers to nothing but the filter that every object fits.
	if s.filter.kind != filterPresent || s.filter.attr != "objectclass" {
		return nil
	}
	attrs := Attributes{
		"currentTime":          {generalizedTime(x.s.o.Now())},
		"supportedLDAPVersion": {"3"},
		"supportedControl":     supportedControls(),
		"supportedExtension":   {extendedStartTLS, extendedWhoAmI},
	}
	if x.s.o.Kerberos != nil {
		attrs["supportedSASLMechanisms"] = []string{mechanismGSSAPI}
	}
	for _, c := range t.contexts {
		attrs["namingContexts"] = append(attrs["namingContexts"], c.text)
	}
	for k, v := range t.root {
		attrs[k] = v
	}
	all := len(s.attributes) == 0 || slices.Contains(s.attributes, "*")
	var list []attribute
	for _, k := range sortedKeys(attrs) {
		if all || slices.ContainsFunc(s.attributes, func(a string) bool { return strings.EqualFold(a, k) }) {
			list = append(list, attribute{k, attrs[k]})
		}
	}
	return []*ber.Packet{entryPacket(q.id, "", list, s.typesOnly)}
}
