package winauth

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// AV pairs of a target info (MS-NLMP, section 2.2.2.1).
const (
	avEnd       = 0
	avFlags     = 6
	avTimestamp = 7
	avTarget    = 9
	avBinding   = 10

	avFlagMIC = 2

	avLimit = 64 // pairs
)

type avPair struct {
	id    uint16
	value []byte
}

// parseAVPairs reads a target info, without the end that it must have.
func parseAVPairs(b []byte) ([]avPair, error) {
	var pairs []avPair
	for {
		if len(b) < 4 {
			return nil, errors.New("the target information has no end")
		}
		id, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		b = b[4:]
		if id == avEnd {
			return pairs, nil
		}
		switch {
		case n > len(b):
			return nil, errors.New("the target information is cut off")
		case len(pairs) == avLimit:
			return nil, fmt.Errorf("the target information has more than %d entries", avLimit)
		case (id == avTimestamp && n != 8) || (id == avFlags && n != 4):
			return nil, fmt.Errorf("entry %d of the target information has %d bytes", id, n)
		}
		pairs = append(pairs, avPair{id, b[:n]})
		b = b[n:]
	}
}

// appendAVPairs is the reverse of parseAVPairs.
func appendAVPairs(b []byte, pairs []avPair) []byte {
	for _, p := range pairs {
		b = binary.LittleEndian.AppendUint16(b, p.id)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(p.value)))
		b = append(b, p.value...)
	}
	return append(b, 0, 0, 0, 0)
}

func findAV(pairs []avPair, id uint16) []byte {
	for _, p := range pairs {
		if p.id == id {
			return p.value
		}
	}
	return nil
}
