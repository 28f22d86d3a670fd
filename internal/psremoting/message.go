package psremoting

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// Types of message. Source: MS-PSRP 2.2.1.
const (
	msgSessionCapability = 0x00010002
	msgInitRunspacePool  = 0x00010004
	msgPublicKeyRequest  = 0x00010007
	msgRunspacePoolState = 0x00021005
	msgCreatePipeline    = 0x00021006
	msgPoolHostCall      = 0x00021100
	msgPipelineOutput    = 0x00041004
	msgErrorRecord       = 0x00041005
	msgPipelineState     = 0x00041006
	msgWarningRecord     = 0x00041009
	msgPipelineHostCall  = 0x00041100
)

const (
	toClient = 1
	toServer = 2

	// messageHeader: destination, type, two GUIDs. Source: MS-PSRP 2.2.1.
	messageHeader = 40

	byteOrderMark = "\xef\xbb\xbf"
)

// guid is a GUID in the order in which it is written.
type guid [16]byte

// newGUID makes a random one (RFC 9562, version 4).
func newGUID(random io.Reader) (guid, error) {
	var g guid
	if _, err := io.ReadFull(random, g[:]); err != nil {
		return guid{}, fmt.Errorf("make an id: %w", err)
	}
	g[6] = g[6]&0x0f | 0x40
	g[8] = g[8]&0x3f | 0x80
	return g, nil
}

// String writes it in capitals, without braces.
func (g guid) String() string {
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", g[:4], g[4:6], g[6:8], g[8:10], g[10:]))
}

// packet is the GUID as it stands in messages: the first three groups little-endian
// (MS-DTYP 2.3.4.2). It is its own inverse.
func (g guid) packet() guid {
	return guid{g[3], g[2], g[1], g[0], g[5], g[4], g[7], g[6], g[8], g[9], g[10], g[11], g[12], g[13], g[14], g[15]}
}

// message is a PSRP message.
type message struct {
	kind     uint32
	pool     guid
	pipeline guid // zero: for the runspace pool
	data     []byte
}

// encode writes a message to the server.
func (m message) encode() []byte {
	b := binary.LittleEndian.AppendUint32(nil, toServer)
	b = binary.LittleEndian.AppendUint32(b, m.kind)
	pool, pipeline := m.pool.packet(), m.pipeline.packet()
	b = append(append(b, pool[:]...), pipeline[:]...)
	return append(append(b, byteOrderMark...), m.data...)
}

// decodeMessage reads a message from the server.
func decodeMessage(b []byte) (message, error) {
	if len(b) < messageHeader || binary.LittleEndian.Uint32(b) != toClient {
		return message{}, errMessage
	}
	return message{
		kind:     binary.LittleEndian.Uint32(b[4:]),
		pool:     guid(b[8:24]).packet(),
		pipeline: guid(b[24:40]).packet(),
		data:     bytes.TrimPrefix(b[messageHeader:], []byte(byteOrderMark)),
	}, nil
}
