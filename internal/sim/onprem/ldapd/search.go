package ldapd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
)

const (
	sizeLimit  = 1000 // MaxPageSize, also of a search without pages
	pagesLimit = 10   // MaxResultSetsPerConn
	scopeBase  = 0
	scopeOne   = 1
	scopeSub   = 2
)

// page is what is left of a paged search (RFC 2696).
type page struct {
	left []*ber.Packet
	made int // the lowest is the oldest
}

func (x *session) search(q request) error {
	if x.s.fault(FaultSlow) {
		timer := time.NewTimer(x.s.o.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-x.s.ctx.Done():
			return errDone
		}
	}
	s := q.search
	if s.base == "" && s.scope == scopeBase {
		return x.send(append(x.rootDSE(q), result{}.packet(q.id, opDone))...)
	}
	if x.account == "" {
		return x.send(notBound().packet(q.id, opDone))
	}
	size, cookie, paged, err := pagedControl(q.controls)
	if err != nil {
		return x.send(result{code: resultProtocol, text: "00000057: LdapErr: DSID-0C090837, comment: Error processing control, data 0, v4563"}.packet(q.id, opDone))
	}
	if paged && cookie != "" {
		p := x.pages[cookie]
		if p == nil {
			return x.send(result{code: resultUnwilling, text: "00000057: LdapErr: DSID-0C0907EB, comment: Error processing control, data 0, v4563"}.packet(q.id, opDone))
		}
		delete(x.pages, cookie)
		return x.sendPage(q.id, p.left, size)
	}
	found, refs, r := x.find(q)
	if r.code != resultSuccess {
		return x.send(r.packet(q.id, opDone))
	}
	limit := sizeLimit
	if paged {
		limit = len(found)
	}
	if s.sizeLimit > 0 && int(min(s.sizeLimit, 1<<30)) < limit {
		limit = int(s.sizeLimit)
	}
	var packets []*ber.Packet
	for _, e := range found[:min(limit, len(found))] {
		packets = append(packets, x.entry(q.id, e, s))
	}
	if !slices.ContainsFunc(q.controls, func(c control) bool { return c.kind == controlDomainScope }) {
		for _, u := range refs {
			packets = append(packets, referencePacket(q.id, []string{u}))
		}
	}
	if len(found) > limit {
		r = result{code: resultSizeLimit, text: "00000000: LdapErr: DSID-0C090AF2, comment: Size limit exceeded, data 0, v4563"}
	}
	if x.s.fault(FaultDrop) {
		whole := entryPacket(q.id, "CN=cut,"+s.base, []attribute{{"cn", []string{"cut"}}}, false).Bytes()
		if _, err := x.out.Write(whole[:len(whole)-1]); err == nil {
			_ = x.out.Flush()
		}
		return errDone
	}
	if paged && r.code == resultSuccess {
		return x.sendPage(q.id, packets, size)
	}
	return x.send(append(packets, r.packet(q.id, opDone))...)
}

func (x *session) sendPage(id int64, packets []*ber.Packet, size int) error {
	var r result
	n := len(packets)
	cookie := ""
	switch {
	case size == 0:
		n = 0 // the client gives the search up
	case n > size:
		n = size
		cookie = x.keepPage(packets[n:])
	}
	value := ber.NewSequence("")
	value.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 0, ""))
	value.AppendChild(octetStringOf(cookie))
	c := ber.NewSequence("")
	c.AppendChild(octetStringOf(controlPaged))
	c.AppendChild(octetStringOf(string(value.Bytes())))
	r.controls = []*ber.Packet{c}
	out := make([]*ber.Packet, 0, n+1)
	for _, p := range packets[:n] {
		out = append(out, withID(p, id))
	}
	return x.send(append(out, r.packet(id, opDone))...)
}

// withID gives an answer that was made for the first page the id of the page's request.
func withID(p *ber.Packet, id int64) *ber.Packet { return envelope(id, p.Children[1], nil) }

func (x *session) keepPage(left []*ber.Packet) string {
	if len(x.pages) >= pagesLimit {
		oldest, made := "", x.counter+1
		for cookie, p := range x.pages {
			if p.made < made {
				oldest, made = cookie, p.made
			}
		}
		delete(x.pages, oldest)
	}
	x.counter++
	cookie := "page " + strconv.Itoa(x.counter)
	x.pages[cookie] = &page{left, x.counter}
	return cookie
}

func pagedControl(list []control) (size int, cookie string, paged bool, err error) {
	for _, c := range list {
		if c.kind != controlPaged {
			continue
		}
		p, err := ber.DecodePacketErr(c.value)
		if err != nil || !is(p, ber.ClassUniversal, ber.TagSequence) || len(p.Children) != 2 {
			return 0, "", false, errMalformed
		}
		n, ok := number(p.Children[0], ber.TagInteger)
		cookie, ok2 := octetString(p.Children[1])
		if !ok || !ok2 || n < 0 {
			return 0, "", false, errMalformed
		}
		return int(min(n, sizeLimit)), cookie, true, nil
	}
	return 0, "", false, nil
}

// find returns the entries that a search is for, and where else it would go on.
func (x *session) find(q request) ([]*entry, []string, result) {
	t, s := x.s.o.Tree, q.search
	t.mu.RLock()
	defer t.mu.RUnlock()
	base, ok := parseDN(s.base)
	if !ok {
		return nil, nil, result{code: resultBadName, text: "00000057: LdapErr: DSID-0C0906B5, comment: Error processing name, data 0, v4563"}
	}
	home, here, known := t.contextOf(base)
	if len(base) > 0 && !here {
		// Names of other forests go to whom their dc= parts name, known or not.
		host := home.host
		if !known {
			host = hostOf(base)
		}
		if host != "" {
			return nil, nil, result{code: resultReferral, referral: []string{"ldap://" + host + "/" + escapeURL(s.base)},
				text: fmt.Sprintf("0000202B: RefErr: DSID-0310082F, data 0, 1 access points\n\tref 1: '%s'\n\x00", host)}
		}
	}
	if len(base) == 0 || t.find(base) == nil {
		matched := ""
		for up := base.parent(); len(up) > 0; up = up.parent() {
			if e := t.find(up); e != nil {
				matched = e.text
				break
			}
		}
		return nil, nil, result{code: resultNoObject, matched: matched,
			text: fmt.Sprintf("0000208D: NameErr: DSID-0310028B, problem 2001 (NO_OBJECT), data 0, best match of:\n\t'%s'\n\x00", matched)}
	}
	var found []*entry
	for _, e := range t.order {
		if inScope(e.name, base, s.scope) && t.sameContext(e.name, home) && t.matches(e, s.filter) == yes {
			found = append(found, e)
		}
	}
	var refs []string
	if s.scope != scopeBase {
		refs = t.references(base, home, s.scope)
	}
	return found, refs, result{}
}

func (t *Tree) sameContext(n dn, c namingContext) bool {
	own, _, _ := t.contextOf(n)
	return own.name.key() == c.name.key()
}

// references names the naming contexts beneath base, to which a search does not
// go by itself (MS-ADTS 3.1.1.3.1.3).
func (t *Tree) references(base dn, home namingContext, scope int64) []string {
	var refs []string
	for _, c := range slices.Concat(t.contexts, t.elsewhere) {
		if c.name.key() == home.name.key() || !c.name.under(base) || !c.name.parent().under(home.name) {
			continue
		}
		// Only contexts right beneath this one; theirs refer to the next.
		if over, _, _ := t.contextOf(c.name.parent()); over.name.key() != home.name.key() {
			continue
		}
		u := "ldap://" + c.host + "/" + escapeURL(c.text)
		if scope == scopeOne {
			if c.name.parent().key() != base.key() {
				continue
			}
			u += "??base"
		}
		refs = append(refs, u)
	}
	return refs
}

func inScope(n, base dn, scope int64) bool {
	switch scope {
	case scopeBase:
		return n.key() == base.key()
	case scopeOne:
		return len(n) == len(base)+1 && n.under(base)
	}
	return n.under(base)
}

// hostOf is the DNS name of the dc= parts at the end of a name.
func hostOf(n dn) string {
	var labels []string
	for _, part := range n {
		if v, ok := strings.CutPrefix(part, "dc\x00"); ok {
			labels = append(labels, v)
		} else {
			labels = nil
		}
	}
	return strings.Join(labels, ".")
}

func escapeURL(name string) string { return strings.ReplaceAll(name, " ", "%20") }

// entry makes the answer for one entry with the attributes that were asked for.
func (x *session) entry(id int64, e *entry, s searchRequest) *ber.Packet {
	t := x.s.o.Tree
	t.mu.RLock()
	defer t.mu.RUnlock()
	all := len(s.attributes) == 0 || slices.Contains(s.attributes, "*")
	want := map[string]bool{}
	for _, a := range s.attributes {
		want[attributeName(a)] = true
	}
	var attrs []attribute
	for _, lower := range sortedKeys(e.attrs) {
		if all || want[lower] {
			attrs = append(attrs, e.attrs[lower])
		}
	}
	if groups := t.values(e, "memberof"); len(groups) > 0 && (all || want["memberof"]) {
		attrs = append(attrs, attribute{"memberOf", slices.Clone(groups)})
	}
	if x.s.fault(FaultHostile) {
		for i, a := range attrs {
			switch strings.ToLower(a.name) {
			case "displayname", "name", "cn", "description", "mail", "upnsuffixes", "flatname", "trustpartner":
				attrs[i].values = slices.Clone(a.values)
				for j, v := range a.values {
					attrs[i].values[j] = hostile(v)
				}
			}
		}
	}
	return entryPacket(id, e.text, attrs, s.typesOnly)
}
