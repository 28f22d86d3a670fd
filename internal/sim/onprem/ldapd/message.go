package ldapd

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// The protocol operations of RFC 4511, section 4.1.1, by their application tags.
const (
	opBind       = 0
	opBindAnswer = 1
	opUnbind     = 2
	opSearch     = 3
	opEntry      = 4
	opDone       = 5
	opModify     = 6
	opAdd        = 8
	opDelete     = 10
	opRename     = 12
	opCompare    = 14
	opAbandon    = 16
	opReference  = 19
	opExtended   = 23
	opExtAnswer  = 24
)

const (
	messageLimit = 1 << 20 // bytes of a request; Active Directory's MaxReceiveBuffer is 10 MB
	depthLimit   = 100     // of a filter
	listLimit    = 5000    // attributes or controls of a request
)

var errMalformed = errors.New("ldapd: the message is malformed")

type request struct {
	id       int64
	op       ber.Tag
	bind     bindRequest
	search   searchRequest
	extended extendedRequest
	controls []control
}

type bindRequest struct {
	version   int64
	name      string
	sasl      bool
	password  string // simple
	mechanism string // SASL
	token     []byte
}

type searchRequest struct {
	base       string
	scope      int64
	sizeLimit  int64
	typesOnly  bool
	filter     *filter
	attributes []string
}

type extendedRequest struct {
	name  string
	value string
}

type control struct {
	kind     string
	critical bool
	value    []byte
}

// readMessage reads the bytes of one message, io.EOF where the client is done.
func readMessage(r *bufio.Reader) ([]byte, error) {
	tag, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	first, err := r.ReadByte()
	if err != nil {
		return nil, unexpected(err)
	}
	head := []byte{tag, first}
	length := int(first)
	if first >= 0x80 {
		// RFC 4511, section 5.1: definite lengths only.
		count := int(first & 0x7f)
		if count == 0 || count > 4 {
			return nil, errMalformed
		}
		length = 0
		for range count {
			b, err := r.ReadByte()
			if err != nil {
				return nil, unexpected(err)
			}
			head = append(head, b)
			length = length<<8 | int(b)
		}
	}
	if tag != 0x30 || length > messageLimit {
		return nil, errMalformed
	}
	message := make([]byte, len(head)+length)
	copy(message, head)
	if _, err := io.ReadFull(r, message[len(head):]); err != nil {
		return nil, unexpected(err)
	}
	return message, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseRequest reads an LDAPMessage. With an error the request holds what was
// understood before it, so that the answer can carry its id.
func parseRequest(message []byte) (request, error) {
	var q request
	p, err := ber.DecodePacketErr(message)
	if err != nil {
		return q, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if !is(p, ber.ClassUniversal, ber.TagSequence) || len(p.Children) < 2 || len(p.Children) > 3 {
		return q, errMalformed
	}
	id, ok := number(p.Children[0], ber.TagInteger)
	if !ok || id < 0 || id > 1<<31-1 {
		return q, errMalformed
	}
	q.id = id
	body := p.Children[1]
	if body.ClassType != ber.ClassApplication {
		return q, errMalformed
	}
	q.op = body.Tag
	if len(p.Children) == 3 {
		if q.controls, err = parseControls(p.Children[2]); err != nil {
			return q, err
		}
	}
	switch q.op {
	case opBind:
		q.bind, err = parseBind(body)
	case opSearch:
		q.search, err = parseSearch(body)
	case opExtended:
		q.extended, err = parseExtended(body)
	}
	return q, err
}

func parseBind(p *ber.Packet) (bindRequest, error) {
	var b bindRequest
	if len(p.Children) != 3 {
		return b, errMalformed
	}
	var ok bool
	if b.version, ok = number(p.Children[0], ber.TagInteger); !ok {
		return b, errMalformed
	}
	if b.name, ok = octetString(p.Children[1]); !ok {
		return b, errMalformed
	}
	switch auth := p.Children[2]; {
	case is(auth, ber.ClassContext, 0) && auth.TagType == ber.TypePrimitive:
		b.password = content(auth)
	case is(auth, ber.ClassContext, 3) && (len(auth.Children) == 1 || len(auth.Children) == 2):
		b.sasl = true
		if b.mechanism, ok = octetString(auth.Children[0]); !ok {
			return b, errMalformed
		}
		if len(auth.Children) == 2 {
			token, ok := octetString(auth.Children[1])
			if !ok {
				return b, errMalformed
			}
			b.token = []byte(token)
		}
	default:
		return b, errMalformed
	}
	return b, nil
}

func parseSearch(p *ber.Packet) (searchRequest, error) {
	var s searchRequest
	if len(p.Children) != 8 {
		return s, errMalformed
	}
	var ok bool
	if s.base, ok = octetString(p.Children[0]); !ok {
		return s, errMalformed
	}
	if s.scope, ok = number(p.Children[1], ber.TagEnumerated); !ok || s.scope < 0 || s.scope > 2 {
		return s, errMalformed
	}
	if deref, ok := number(p.Children[2], ber.TagEnumerated); !ok || deref < 0 || deref > 3 {
		return s, errMalformed
	}
	if s.sizeLimit, ok = number(p.Children[3], ber.TagInteger); !ok || s.sizeLimit < 0 {
		return s, errMalformed
	}
	if limit, ok := number(p.Children[4], ber.TagInteger); !ok || limit < 0 {
		return s, errMalformed
	}
	if s.typesOnly, ok = p.Children[5].Value.(bool); !ok {
		return s, errMalformed
	}
	var err error
	if s.filter, err = parseFilter(p.Children[6], 0); err != nil {
		return s, err
	}
	list := p.Children[7]
	if !is(list, ber.ClassUniversal, ber.TagSequence) || len(list.Children) > listLimit {
		return s, errMalformed
	}
	for _, c := range list.Children {
		name, ok := octetString(c)
		if !ok {
			return s, errMalformed
		}
		s.attributes = append(s.attributes, name)
	}
	return s, nil
}

func parseExtended(p *ber.Packet) (extendedRequest, error) {
	var x extendedRequest
	if len(p.Children) < 1 || len(p.Children) > 2 || !is(p.Children[0], ber.ClassContext, 0) {
		return x, errMalformed
	}
	x.name = content(p.Children[0])
	if len(p.Children) == 2 {
		if !is(p.Children[1], ber.ClassContext, 1) {
			return x, errMalformed
		}
		x.value = content(p.Children[1])
	}
	return x, nil
}

func parseControls(p *ber.Packet) ([]control, error) {
	if !is(p, ber.ClassContext, 0) || len(p.Children) > listLimit {
		return nil, errMalformed
	}
	var list []control
	for _, c := range p.Children {
		if !is(c, ber.ClassUniversal, ber.TagSequence) || len(c.Children) < 1 || len(c.Children) > 3 {
			return nil, errMalformed
		}
		var one control
		var ok bool
		if one.kind, ok = octetString(c.Children[0]); !ok {
			return nil, errMalformed
		}
		for _, rest := range c.Children[1:] {
			if critical, isBool := rest.Value.(bool); isBool {
				one.critical = critical
			} else if value, ok := octetString(rest); ok {
				one.value = []byte(value)
			} else {
				return nil, errMalformed
			}
		}
		list = append(list, one)
	}
	return list, nil
}

func is(p *ber.Packet, class ber.Class, tag ber.Tag) bool {
	return p.ClassType == class && p.Tag == tag
}

func content(p *ber.Packet) string { return p.Data.String() }

func octetString(p *ber.Packet) (string, bool) {
	if !is(p, ber.ClassUniversal, ber.TagOctetString) || p.TagType != ber.TypePrimitive {
		return "", false
	}
	return content(p), true
}

func number(p *ber.Packet, tag ber.Tag) (int64, bool) {
	if !is(p, ber.ClassUniversal, tag) || p.TagType != ber.TypePrimitive || p.Data.Len() == 0 || p.Data.Len() > 8 {
		return 0, false
	}
	n, ok := p.Value.(int64)
	return n, ok
}
