package ldapd

import (
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// The choices of a filter (RFC 4511, section 4.5.1.7) by their context tags.
const (
	filterAnd        = 0
	filterOr         = 1
	filterNot        = 2
	filterEqual      = 3
	filterSubstrings = 4
	filterAtLeast    = 5
	filterAtMost     = 6
	filterPresent    = 7
	filterApprox     = 8
	filterRule       = 9
)

// The matching rules that Active Directory adds (MS-ADTS 3.1.1.3.4.4).
const (
	ruleBitAnd = "1.2.840.113556.1.4.803"
	ruleBitOr  = "1.2.840.113556.1.4.804"
	ruleChain  = "1.2.840.113556.1.4.1941"
)

type filter struct {
	kind  ber.Tag
	sub   []*filter
	attr  string // lower case, without options
	value string
	rule  string
	byDN  bool // dnAttributes

	initial, final string
	any            []string
}

func parseFilter(p *ber.Packet, depth int) (*filter, error) {
	if depth > depthLimit || p.ClassType != ber.ClassContext {
		return nil, errMalformed
	}
	f := &filter{kind: p.Tag}
	switch f.kind {
	case filterAnd, filterOr, filterNot:
		if p.TagType != ber.TypeConstructed || f.kind == filterNot && len(p.Children) != 1 {
			return nil, errMalformed
		}
		// "(&)" and "(|)" are true and false (RFC 4526).
		for _, c := range p.Children {
			sub, err := parseFilter(c, depth+1)
			if err != nil {
				return nil, err
			}
			f.sub = append(f.sub, sub)
		}
	case filterEqual, filterAtLeast, filterAtMost, filterApprox:
		if len(p.Children) != 2 {
			return nil, errMalformed
		}
		kind, ok := octetString(p.Children[0])
		value, ok2 := octetString(p.Children[1])
		if !ok || !ok2 || kind == "" {
			return nil, errMalformed
		}
		f.attr, f.value = attributeName(kind), value
	case filterPresent:
		if p.TagType != ber.TypePrimitive || p.Data.Len() == 0 {
			return nil, errMalformed
		}
		f.attr = attributeName(content(p))
	case filterSubstrings:
		return f, f.parseSubstrings(p)
	case filterRule:
		return f, f.parseRule(p)
	default:
		return nil, errMalformed
	}
	return f, nil
}

func (f *filter) parseSubstrings(p *ber.Packet) error {
	if len(p.Children) != 2 {
		return errMalformed
	}
	kind, ok := octetString(p.Children[0])
	parts := p.Children[1]
	if !ok || kind == "" || !is(parts, ber.ClassUniversal, ber.TagSequence) || len(parts.Children) == 0 {
		return errMalformed
	}
	f.attr = attributeName(kind)
	last := len(parts.Children) - 1
	for i, c := range parts.Children {
		value := content(c)
		if c.ClassType != ber.ClassContext || c.TagType != ber.TypePrimitive || value == "" {
			return errMalformed
		}
		switch {
		case c.Tag == 0 && i == 0:
			f.initial = value
		case c.Tag == 1:
			f.any = append(f.any, value)
		case c.Tag == 2 && i == last:
			f.final = value
		default:
			return errMalformed
		}
	}
	return nil
}

func (f *filter) parseRule(p *ber.Packet) error {
	if p.TagType != ber.TypeConstructed {
		return errMalformed
	}
	given := false
	for _, c := range p.Children {
		if c.ClassType != ber.ClassContext || c.TagType != ber.TypePrimitive {
			return errMalformed
		}
		switch c.Tag {
		case 1:
			f.rule = content(c)
		case 2:
			f.attr = attributeName(content(c))
		case 3:
			f.value, given = content(c), true
		case 4:
			f.byDN = content(c) != "\x00"
		default:
			return errMalformed
		}
	}
	if !given || f.rule == "" && f.attr == "" {
		return errMalformed
	}
	return nil
}

// attributeName drops options such as ";binary": the simulated domain has none.
func attributeName(kind string) string {
	kind, _, _ = strings.Cut(kind, ";")
	return strings.ToLower(kind)
}
