package ldapd

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// truth is the value of a filter: X.511's three values (RFC 4511, section 4.5.1.7).
type truth int8

const (
	no truth = iota
	yes
	undefined
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// matches evaluates a filter on an entry. The tree is locked by the caller.
func (t *Tree) matches(e *entry, f *filter) truth {
	switch f.kind {
	case filterAnd:
		result := yes
		for _, sub := range f.sub {
			switch t.matches(e, sub) {
			case no:
				return no
			case undefined:
				result = undefined
			}
		}
		return result
	case filterOr:
		result := no
		for _, sub := range f.sub {
			switch t.matches(e, sub) {
			case yes:
				return yes
			case undefined:
				result = undefined
			}
		}
		return result
	case filterNot:
		switch t.matches(e, f.sub[0]) {
		case yes:
			return no
		case no:
			return yes
		}
		return undefined
	}
	kind, known := t.syntax[f.attr]
	if !known || f.byDN {
		return undefined
	}
	values := t.values(e, f.attr)
	switch f.kind {
	case filterPresent:
		return truthOf(len(values) > 0)
	case filterRule:
		return t.matchesRule(e, f, kind, values)
	case filterSubstrings:
		return matchesSubstrings(f, kind, values)
	}
	want, ok := normal(f.attr, kind, f.value)
	if !ok {
		return undefined
	}
	for _, v := range values {
		have, ok := normal(f.attr, kind, v)
		if !ok {
			continue
		}
		switch f.kind {
		case filterEqual, filterApprox: // Active Directory takes ~= for =
			if have == want {
				return yes
			}
		default:
			order, ok := compare(kind, have, want)
			if !ok {
				return undefined
			}
			if f.kind == filterAtLeast && order >= 0 || f.kind == filterAtMost && order <= 0 {
				return yes
			}
		}
	}
	return no
}

func (t *Tree) matchesRule(e *entry, f *filter, kind syntax, values []string) truth {
	switch f.rule {
	case "":
		return t.matches(e, &filter{kind: filterEqual, attr: f.attr, value: f.value})
	case ruleBitAnd, ruleBitOr:
		mask, err := strconv.ParseInt(f.value, 10, 64)
		if kind != asNumber || err != nil {
			return undefined
		}
		for _, v := range values {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				continue
			}
			if f.rule == ruleBitAnd && n&mask == mask || f.rule == ruleBitOr && n&mask != 0 {
				return yes
			}
		}
		return no
	case ruleChain:
		target, ok := parseDN(f.value)
		if kind != asName || !ok {
			return undefined
		}
		return truthOf(t.chain(e, f.attr, target))
	}
	return undefined
}

// chain follows an attribute's names from e until it meets target.
func (t *Tree) chain(e *entry, attr string, target dn) bool {
	want := target.key()
	seen := map[string]bool{}
	queue := []*entry{e}
	for len(queue) > 0 {
		e, queue = queue[0], queue[1:]
		for _, v := range t.values(e, attr) {
			next, ok := parseDN(v)
			if !ok || seen[next.key()] {
				continue
			}
			if next.key() == want {
				return true
			}
			seen[next.key()] = true
			if deeper := t.find(next); deeper != nil {
				queue = append(queue, deeper)
			}
		}
	}
	return false
}

func matchesSubstrings(f *filter, kind syntax, values []string) truth {
	fold := func(s string) string { return s }
	switch kind {
	case asText, asNameWithBytes:
		fold = strings.ToLower
	case asExact, asBytes:
	default:
		return undefined // names, numbers and times have no substrings
	}
	for _, v := range values {
		rest, ok := strings.CutPrefix(fold(v), fold(f.initial))
		for _, part := range f.any {
			if ok {
				_, rest, ok = strings.Cut(rest, fold(part))
			}
		}
		if ok && strings.HasSuffix(rest, fold(f.final)) {
			return yes
		}
	}
	return no
}

// normal brings a value into the form in which it is compared.
func normal(attr string, kind syntax, v string) (string, bool) {
	switch kind {
	case asNumber:
		n, err := strconv.ParseInt(v, 10, 64)
		return strconv.FormatInt(n, 10), err == nil
	case asBool:
		return v, v == "TRUE" || v == "FALSE"
	case asName:
		if attr == "objectcategory" && !strings.Contains(v, "=") {
			return category(v)
		}
		parsed, ok := parseDN(v)
		if attr == "objectcategory" && ok && len(parsed) > 0 {
			return parsed[0], true
		}
		return parsed.key(), ok && len(parsed) > 0
	case asBytes:
		if attr == "objectsid" || attr == "securityidentifier" {
			if sid, err := ParseSID(v); err == nil {
				return sid, true
			}
		}
		return v, true
	case asExact, asTime:
		return v, true
	default:
		return strings.ToLower(v), true
	}
}

// category gives the class that objects of a class are filed under, as the first
// part of a name: (objectCategory=user) asks for persons (MS-ADTS 3.1.1.3.1.3.2).
func category(class string) (string, bool) {
	cn := map[string]string{
		"person": "person", "user": "person", "contact": "person", "inetorgperson": "person", "group": "group", "computer": "computer",
		"container": "container", "organizationalunit": "organizational-unit", "serviceconnectionpoint": "service-connection-point",
		"trusteddomain": "trusted-domain", "crossref": "cross-ref", "subnet": "subnet", "site": "site", "domaindns": "domain-dns",
		"attributeschema": "attribute-schema",
	}[strings.ToLower(class)]
	return "cn\x00" + cn, cn != ""
}

func compare(kind syntax, a, b string) (int, bool) {
	switch kind {
	case asNumber:
		x, err1 := strconv.ParseInt(a, 10, 64)
		y, err2 := strconv.ParseInt(b, 10, 64)
		switch {
		case x < y:
			return -1, err1 == nil && err2 == nil
		case x > y:
			return 1, err1 == nil && err2 == nil
		}
		return 0, err1 == nil && err2 == nil
	case asText, asExact, asTime, asBytes:
		return strings.Compare(a, b), true
	}
	return 0, false
}

// ParseSID turns "S-1-5-21-…" into the bytes that objectSid holds (MS-DTYP 2.4.2).
func ParseSID(s string) (string, error) {
	parts := strings.Split(s, "-")
	if len(parts) < 3 || len(parts) > 18 || !strings.EqualFold(parts[0], "S") || parts[1] != "1" {
		return "", errMalformed
	}
	authority, err := strconv.ParseUint(parts[2], 10, 48)
	if err != nil {
		return "", err
	}
	sid := binary.BigEndian.AppendUint64(nil, authority)
	sid[0], sid[1] = 1, byte(len(parts)-3)
	for _, part := range parts[3:] {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return "", err
		}
		sid = binary.LittleEndian.AppendUint32(sid, uint32(n))
	}
	return string(sid), nil
}
