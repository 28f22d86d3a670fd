package psrp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
)

// messageType is a PSRP message type ([MS-PSRP] 2.2.1).
type messageType uint32

const (
	sessionCapability      messageType = 0x00010002
	initRunspacePool       messageType = 0x00010004
	publicKey              messageType = 0x00010005
	setMaxRunspaces        messageType = 0x00021002
	setMinRunspaces        messageType = 0x00021003
	runspaceAvailability   messageType = 0x00021004
	runspacePoolState      messageType = 0x00021005
	createPipeline         messageType = 0x00021006
	getAvailableRunspaces  messageType = 0x00021007
	applicationPrivateData messageType = 0x00021009
	pipelineInput          messageType = 0x00041002
	endOfPipelineInput     messageType = 0x00041003
	pipelineOutput         messageType = 0x00041004
	errorRecord            messageType = 0x00041005
	pipelineState          messageType = 0x00041006
	warningRecord          messageType = 0x00041009
)

// Sizes on the wire ([MS-PSRP] 2.2.1, 2.2.4) and bounds.
const (
	messageHeader  = 40
	fragmentHeader = 21
	maxMessage     = 4 << 20 // of a client; ours send a few kilobytes
)

const (
	toClient = 1
	toServer = 2
)

var errMessage = errors.New("not a valid PSRP message")

// message is a PSRP message. The ids are in the order of their text.
type message struct {
	kind     messageType
	pool     org.GUID
	pipeline org.GUID
	data     []byte // serialised value without byte order mark
}

// netGUID turns a GUID between the order of its text and .NET's layout.
func netGUID(g org.GUID) org.GUID {
	g[0], g[1], g[2], g[3] = g[3], g[2], g[1], g[0]
	g[4], g[5] = g[5], g[4]
	g[6], g[7] = g[7], g[6]
	return g
}

// parseMessage reads a message of a client.
func parseMessage(b []byte) (m message, err error) {
	if len(b) < messageHeader {
		return m, fmt.Errorf("%w: %d bytes", errMessage, len(b))
	}
	if d := binary.LittleEndian.Uint32(b); d != toServer {
		return m, fmt.Errorf("%w: destination %d", errMessage, d)
	}
	m.kind = messageType(binary.LittleEndian.Uint32(b[4:]))
	m.pool = netGUID(org.GUID(b[8:24]))
	m.pipeline = netGUID(org.GUID(b[24:40]))
	m.data = bytes.TrimPrefix(b[messageHeader:], []byte(bom))
	if !utf8.Valid(m.data) {
		return m, fmt.Errorf("%w: data is not UTF-8", errMessage)
	}
	return m, nil
}

// bytes writes the message as the server sends it.
func (m message) bytes() []byte {
	b := make([]byte, 0, messageHeader+len(bom)+len(m.data))
	b = binary.LittleEndian.AppendUint32(b, toClient)
	b = binary.LittleEndian.AppendUint32(b, uint32(m.kind))
	pool, pipeline := netGUID(m.pool), netGUID(m.pipeline)
	b = append(append(b, pool[:]...), pipeline[:]...)
	return append(append(b, bom...), m.data...)
}

// fragments splits a message into fragments of at most size bytes, headers
// included.
func fragments(object uint64, data []byte, size int) [][]byte {
	room := max(size-fragmentHeader, 1)
	var list [][]byte
	for n := uint64(0); n == 0 || len(data) > 0; n++ {
		part := data[:min(room, len(data))]
		data = data[len(part):]
		f := make([]byte, 0, fragmentHeader+len(part))
		f = binary.BigEndian.AppendUint64(f, object)
		f = binary.BigEndian.AppendUint64(f, n)
		flags := byte(0)
		if n == 0 {
			flags |= 1
		}
		if len(data) == 0 {
			flags |= 2
		}
		f = append(f, flags)
		f = binary.BigEndian.AppendUint32(f, uint32(len(part)))
		list = append(list, append(f, part...))
	}
	return list
}

// defragmenter puts messages together. One belongs to each stream of a client:
// the shell's and each command's.
type defragmenter struct {
	object uint64
	next   uint64
	open   bool
	buf    []byte
}

// add takes whole fragments and gives the messages that they complete.
func (d *defragmenter) add(b []byte) ([]message, error) {
	var list []message
	for len(b) > 0 {
		if len(b) < fragmentHeader {
			return nil, fmt.Errorf("%w: a fragment of %d bytes", errMessage, len(b))
		}
		object, n, flags := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), b[16]
		size := uint64(binary.BigEndian.Uint32(b[17:]))
		b = b[fragmentHeader:]
		if size == 0 || size > uint64(len(b)) {
			return nil, fmt.Errorf("%w: a fragment that says %d bytes and has %d", errMessage, size, len(b))
		}
		start, end := flags&1 != 0, flags&2 != 0
		switch {
		case object == 0 || flags > 3:
			return nil, fmt.Errorf("%w: fragment of object %d with flags %d", errMessage, object, flags)
		case start && (d.open || n != 0 || object <= d.object):
			return nil, fmt.Errorf("%w: object %d starts with fragment %d after object %d", errMessage, object, n, d.object)
		case !start && (!d.open || object != d.object || n != d.next):
			return nil, fmt.Errorf("%w: fragment %d of object %d is out of order", errMessage, n, object)
		}
		if uint64(len(d.buf))+size > maxMessage {
			return nil, fmt.Errorf("%w: more than %d bytes", errMessage, maxMessage)
		}
		d.object, d.next, d.open = object, n+1, !end
		d.buf = append(d.buf, b[:size]...)
		b = b[size:]
		if end {
			m, err := parseMessage(d.buf)
			if err != nil {
				return nil, err
			}
			list = append(list, m)
			d.buf = nil
		}
	}
	return list, nil
}
