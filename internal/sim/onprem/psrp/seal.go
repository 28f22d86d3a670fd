package psrp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"mime"
	"strconv"
	"strings"
)

// Sealer encrypts the messages of one signed-in connection: its security context
// (GSS_WrapEx and GSS_UnwrapEx, [MS-KILE] 3.4.5.4).
type Sealer interface {
	// Unwrap decrypts a message of the client: the token's header and its data.
	Unwrap(token []byte) ([]byte, error)
	// Wrap encrypts a message for the client. data has the length of the message.
	Wrap(message []byte) (header, data []byte, err error)
}

const (
	sealBoundary = "Encrypted Boundary"
	soapType     = "application/soap+xml"

	// Clients of either name sign in by Kerberos within Negotiate.
	sealKerberos = "application/HTTP-Kerberos-session-encrypted"
	sealSPNEGO   = "application/HTTP-SPNEGO-session-encrypted"
)

var errSealed = errors.New("not a valid encrypted message")

// isSealed tells whether a Content-Type says that the message is encrypted.
func isSealed(contentType string) bool {
	return strings.HasPrefix(strings.ToLower(contentType), "multipart/encrypted")
}

// unseal reads an encrypted message ([MS-WSMV] 2.2.9.1): a part that tells the
// type and length of the original, and a part with the token header's length
// (little endian), the token header and the data.
func unseal(s Sealer, contentType string, body []byte) ([]byte, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	protocol := params["protocol"]
	if err != nil || kind != "multipart/encrypted" || protocol != sealKerberos && protocol != sealSPNEGO || params["boundary"] != sealBoundary {
		return nil, fmt.Errorf("%w: Content-Type %q", errSealed, cut(contentType))
	}
	const separator = "--" + sealBoundary
	first, ok := bytes.CutPrefix(body, []byte(separator+"\r\n"))
	if !ok {
		return nil, fmt.Errorf("%w: no boundary", errSealed)
	}
	head, rest, ok := bytes.Cut(first, []byte(separator+"\r\n"))
	if !ok {
		return nil, fmt.Errorf("%w: one part", errSealed)
	}
	length, err := originalLength(head, protocol)
	if err != nil {
		return nil, err
	}
	line, token, ok := bytes.Cut(rest, []byte("\r\n"))
	if !ok || strings.TrimSpace(string(line)) != "Content-Type: application/octet-stream" {
		return nil, fmt.Errorf("%w: second part", errSealed)
	}
	token, ok = bytes.CutSuffix(token, []byte(separator+"--\r\n"))
	if !ok || len(token) < 4 {
		return nil, fmt.Errorf("%w: no end", errSealed)
	}
	n := binary.LittleEndian.Uint32(token)
	token = token[4:]
	if uint64(n)+uint64(length) != uint64(len(token)) {
		return nil, fmt.Errorf("%w: a token header of %d bytes and %d of data, in %d", errSealed, n, length, len(token))
	}
	plain, err := s.Unwrap(token)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSealed, err)
	}
	if len(plain) != length {
		return nil, fmt.Errorf("%w: %d bytes where %d were said", errSealed, len(plain), length)
	}
	return plain, nil
}

// originalLength reads the headers of the first part.
func originalLength(head []byte, protocol string) (int, error) {
	known, length := false, -1
	for line := range strings.SplitSeq(strings.TrimSuffix(string(head), "\r\n"), "\r\n") {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case name == "Content-Type" && value == protocol:
			known = true
		case name == "OriginalContent":
			fields := strings.Split(value, ";")
			if len(fields) != 3 || fields[0] != "type="+soapType || !strings.EqualFold(fields[1], "charset=utf-8") {
				return 0, fmt.Errorf("%w: OriginalContent %q", errSealed, cut(value))
			}
			n, err := strconv.ParseUint(strings.TrimPrefix(fields[2], "Length="), 10, 31)
			if err != nil || !strings.HasPrefix(fields[2], "Length=") {
				return 0, fmt.Errorf("%w: OriginalContent %q", errSealed, cut(value))
			}
			length = int(n)
		}
	}
	if !known || length < 0 {
		return 0, fmt.Errorf("%w: first part", errSealed)
	}
	return length, nil
}

// seal writes an encrypted message. Exchange, behind IIS, puts a space after the
// hyphens of its boundaries.
func seal(s Sealer, protocol string, plain []byte) (contentType string, body []byte, err error) {
	header, data, err := s.Wrap(plain)
	if err != nil {
		return "", nil, err
	}
	const separator = "-- " + sealBoundary
	var b bytes.Buffer
	fmt.Fprintf(&b, separator+"\r\n\tContent-Type: "+protocol+"\r\n\tOriginalContent: type="+soapType+";charset=UTF-8;Length=%d\r\n"+
		separator+"\r\n\tContent-Type: application/octet-stream\r\n", len(plain))
	b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(header))))
	b.Write(header)
	b.Write(data)
	b.WriteString(separator + "--\r\n")
	return `multipart/encrypted;protocol="` + protocol + `";boundary="` + sealBoundary + `"`, b.Bytes(), nil
}
