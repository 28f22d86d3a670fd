package psremoting

import (
	"encoding/binary"
)

// A fragment is: object id, fragment id (both 64 bits, big-endian), a byte whose
// bits 0 and 1 say start and end, the length of the blob (32 bits), the blob.
//
// Source: MS-PSRP 2.2.4.
const (
	fragmentHeader = 21
	flagStart      = 1
	flagEnd        = 2

	// messageLimit is the size in bytes of the largest message that is put together.
	messageLimit = 16 << 20
)

// split cuts a message into fragments of at most room bytes each, headers included.
func split(objectID uint64, message []byte, room int) [][]byte {
	chunk := max(room-fragmentHeader, 1)
	var out [][]byte
	for n := uint64(0); n == 0 || len(message) > 0; n++ {
		part := message[:min(chunk, len(message))]
		message = message[len(part):]
		var flags byte
		if n == 0 {
			flags |= flagStart
		}
		if len(message) == 0 {
			flags |= flagEnd
		}
		f := binary.BigEndian.AppendUint64(nil, objectID)
		f = binary.BigEndian.AppendUint64(f, n)
		f = append(f, flags)
		f = binary.BigEndian.AppendUint32(f, uint32(len(part)))
		out = append(out, append(f, part...))
	}
	return out
}

// joiner puts messages together again. Fragments of one message come in order and
// not mixed with those of another; a fragment may be spread over several answers.
type joiner struct {
	rest    []byte // begin of a fragment that is not complete
	message []byte
	object  uint64
	next    uint64 // fragment id that must come; 0 between messages
}

// add takes bytes of a stream and returns the messages that they complete.
func (j *joiner) add(b []byte) ([][]byte, error) {
	if len(j.rest) > 0 {
		b = append(j.rest, b...)
		j.rest = nil
	}
	var out [][]byte
	for len(b) >= fragmentHeader {
		object, id := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
		flags, size := b[16], uint64(binary.BigEndian.Uint32(b[17:]))
		switch {
		case size > messageLimit || uint64(len(j.message))+size > messageLimit:
			return nil, errTooBig
		case id != j.next, (id == 0) != (flags&flagStart != 0), id > 0 && object != j.object, size == 0 && flags&flagEnd == 0:
			return nil, errFragment
		}
		if uint64(len(b)-fragmentHeader) < size {
			break
		}
		j.object, j.next = object, id+1
		j.message = append(j.message, b[fragmentHeader:fragmentHeader+size]...)
		b = b[fragmentHeader+size:]
		if flags&flagEnd != 0 {
			out = append(out, j.message)
			j.message, j.next = nil, 0
		}
	}
	j.rest = append([]byte(nil), b...)
	return out, nil
}
