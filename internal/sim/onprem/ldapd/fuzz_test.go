package ldapd

import (
	"bufio"
	"bytes"
	"sync"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// world is one tree for all inputs: a search changes nothing.
var world = sync.OnceValues(func() (*Tree, error) { return Build(World()) })

// FuzzMessage reads any bytes as LDAP messages, and searches with what is a search.
func FuzzMessage(f *testing.F) {
	tree, err := world()
	if err != nil {
		f.Fatal(err)
	}
	for _, filter := range []string{"(objectClass=*)", "(&(a=b)(!(c=*d*))(|(e>=1)(f<=2)(g~=3)))", "(memberOf:1.2.840.113556.1.4.1941:=CN=x,DC=y)"} {
		p, err := ldap.CompileFilter(filter)
		if err != nil {
			f.Fatal(err)
		}
		body := "\x04\x0fDC=corp,DC=test\x0a\x01\x02\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00" + string(p.Bytes()) + "\x30\x06\x04\x04name"
		op := append([]byte{0x63, byte(len(body))}, body...)
		f.Add(append([]byte{0x30, byte(len(op) + 3), 2, 1, 1}, op...))
	}
	f.Add([]byte("\x30\x1c\x02\x01\x01\x60\x17\x02\x01\x03\x04\x08a@b.test\x80\x08password"))
	f.Add([]byte("\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"))
	f.Add([]byte("\x30\x05\x02\x01\x01\x42\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReader(bytes.NewReader(data))
		for {
			message, err := readMessage(r)
			if err != nil {
				return
			}
			q, err := parseRequest(message)
			if err != nil || q.op != opSearch {
				continue
			}
			_, _, _, _ = pagedControl(q.controls)
			x := &session{s: &Server{o: Options{Tree: tree}}}
			found, _, result := x.find(q)
			if len(found) > 0 && result.code != resultSuccess {
				t.Errorf("%d entries with result %d", len(found), result.code)
			}
			for _, e := range found {
				if tree.matches(e, &filter{kind: filterNot, sub: []*filter{q.search.filter}}) != no {
					t.Errorf("%s matches a filter and its negation", e.text)
				}
			}
		}
	})
}

// FuzzFilter evaluates filters in their text form on every entry.
func FuzzFilter(f *testing.F) {
	tree, err := world()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{
		"(cn=*)", "(userAccountControl:1.2.840.113556.1.4.803:=2)", "(&(objectClass=user)(!(cn=a*b*c)))", "(objectSid=S-1-5-32-544)",
		"(memberOf:1.2.840.113556.1.4.1941:=CN=Messaging Team,CN=Users,DC=corp,DC=test)", "(objectCategory=person)", "(whenCreated>=2020)", "(cn:dn:=x)",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ldap.CompileFilter(text)
		if err != nil {
			return
		}
		parsed, err := parseFilter(p, 0)
		if err != nil {
			return
		}
		for _, e := range tree.order {
			once := tree.matches(e, parsed)
			twice := tree.matches(e, &filter{kind: filterNot, sub: []*filter{{kind: filterNot, sub: []*filter{parsed}}}})
			if once != twice {
				t.Errorf("%q on %s: %d, negated twice %d", text, e.text, once, twice)
			}
		}
	})
}

// FuzzDN reads names; what is escaped must come back.
func FuzzDN(f *testing.F) {
	for _, s := range []string{"CN=a,DC=b", `CN=O'Neil\, Rory,DC=x`, `CN=\2c\ ,DC=x`, " a = b ; c=d ", `\`, "=", "CN=#x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := parseDN(s); ok && !n.under(n) {
			t.Errorf("%q is not under itself", s)
		}
		if s == "" {
			return
		}
		n, ok := parseDN("CN=" + escapeValue(s) + ",DC=x")
		if !ok || len(n) != 2 {
			t.Errorf("%q escaped is %q: read as %q", s, escapeValue(s), n)
		}
	})
}
