package ldapd

import (
	ber "github.com/go-asn1-ber/asn1-ber"
)

// Result codes of RFC 4511, appendix A.
const (
	resultSuccess         = 0
	resultOperations      = 1
	resultProtocol        = 2
	resultSizeLimit       = 4
	resultNoMethod        = 7
	resultStrongerNeeded  = 8
	resultReferral        = 10
	resultNoExtension     = 12
	resultSASLInProgress  = 14
	resultNoObject        = 32
	resultBadName         = 34
	resultBadCredentials  = 49
	resultNoRight         = 50
	resultUnwilling       = 53
	disconnectionNotice   = "1.3.6.1.4.1.1466.20036"
	extendedStartTLS      = "1.3.6.1.4.1.1466.20037"
	extendedWhoAmI        = "1.3.6.1.4.1.4203.1.11.3"
	controlPaged          = "1.2.840.113556.1.4.319"
	controlManageDSAIT    = "2.16.840.1.113730.3.4.2"
	controlDomainScope    = "1.2.840.113556.1.4.1339" // no references, please
	controlSearchOptions  = "1.2.840.113556.1.4.1340"
	mechanismGSSAPI       = "GSSAPI"
	capabilityAD          = "1.2.840.113556.1.4.800"
	capabilityADV51       = "1.2.840.113556.1.4.1670"
	capabilityADLDAPInteg = "1.2.840.113556.1.4.1791"
)

// result is an LDAPResult with what some answers carry besides.
type result struct {
	code     int64
	matched  string
	text     string
	referral []string

	controls []*ber.Packet
	token    []byte // of a SASL bind
	hasToken bool
	name     string // of an extended answer
	value    string
	hasValue bool
}

func (r result) packet(id int64, op ber.Tag) *ber.Packet {
	body := ber.Encode(ber.ClassApplication, ber.TypeConstructed, op, nil, "")
	body.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, r.code, ""))
	body.AppendChild(octetStringOf(r.matched))
	body.AppendChild(octetStringOf(r.text))
	if len(r.referral) > 0 {
		list := ber.Encode(ber.ClassContext, ber.TypeConstructed, 3, nil, "")
		for _, u := range r.referral {
			list.AppendChild(octetStringOf(u))
		}
		body.AppendChild(list)
	}
	if r.hasToken {
		body.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 7, string(r.token), ""))
	}
	if r.name != "" {
		body.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 10, r.name, ""))
	}
	if r.hasValue {
		body.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 11, r.value, ""))
	}
	return envelope(id, body, r.controls)
}

func envelope(id int64, body *ber.Packet, controls []*ber.Packet) *ber.Packet {
	p := ber.NewSequence("")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	p.AppendChild(body)
	if len(controls) > 0 {
		list := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
		for _, c := range controls {
			list.AppendChild(c)
		}
		p.AppendChild(list)
	}
	return p
}

func octetStringOf(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

func entryPacket(id int64, name string, attrs []attribute, typesOnly bool) *ber.Packet {
	body := ber.Encode(ber.ClassApplication, ber.TypeConstructed, opEntry, nil, "")
	body.AppendChild(octetStringOf(name))
	list := ber.NewSequence("")
	for _, a := range attrs {
		one := ber.NewSequence("")
		one.AppendChild(octetStringOf(a.name))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		if !typesOnly {
			for _, v := range a.values {
				set.AppendChild(octetStringOf(v))
			}
		}
		one.AppendChild(set)
		list.AppendChild(one)
	}
	body.AppendChild(list)
	return envelope(id, body, nil)
}

func referencePacket(id int64, urls []string) *ber.Packet {
	body := ber.Encode(ber.ClassApplication, ber.TypeConstructed, opReference, nil, "")
	for _, u := range urls {
		body.AppendChild(octetStringOf(u))
	}
	return envelope(id, body, nil)
}

// answerOp is the operation that answers op; false where nothing answers.
func answerOp(op ber.Tag) (ber.Tag, bool) {
	switch op {
	case opBind:
		return opBindAnswer, true
	case opSearch:
		return opDone, true
	case opExtended:
		return opExtAnswer, true
	case opModify, opAdd, opDelete, opRename, opCompare:
		return op + 1, true
	}
	return 0, false
}
