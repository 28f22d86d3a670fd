package psremoting

import (
	"bytes"
	"encoding/binary"
	"mime"
	"strconv"
	"strings"
)

// Sealer is the initiator's side of a Kerberos security context, for one connection.
// *winauth.Context is one.
type Sealer interface {
	// Token is what the server gets first.
	Token() []byte
	// Accept takes the server's answer to Token; it proves who the server is.
	Accept(reply []byte) error
	// Wrap seals a message: header, then data, go over the wire.
	Wrap(message []byte) (header, data []byte, err error)
	// Unwrap opens a message that the server sealed.
	Unwrap(header, data []byte) ([]byte, error)
}

// The schemes with which a server takes Kerberos, for Options.Seal.
const (
	SchemeKerberos  = "Kerberos"  // a bare Kerberos token
	SchemeNegotiate = "Negotiate" // Kerberos within SPNEGO
)

const (
	boundary   = "Encrypted Boundary"
	sealedType = "multipart/encrypted"
)

// sealProtocol names the kind of sealing. Source: MS-WSMV 2.2.9.1.1 and 2.2.9.1.2.
func sealProtocol(scheme string) string {
	if scheme == SchemeKerberos {
		return "application/HTTP-Kerberos-session-encrypted"
	}
	return "application/HTTP-SPNEGO-session-encrypted"
}

// seal makes the body of a request, and its content type. Source: MS-WSMV 2.2.9.1.1.2.
func seal(s Sealer, scheme string, plain []byte) (body []byte, contentType string, err error) {
	header, data, err := s.Wrap(plain)
	if err != nil {
		return nil, "", err
	}
	protocol := sealProtocol(scheme)
	var b bytes.Buffer
	b.WriteString("--" + boundary + "\r\n\tContent-Type: " + protocol +
		"\r\n\tOriginalContent: type=" + soapType + ";Length=" + strconv.Itoa(len(plain)) +
		"\r\n--" + boundary + "\r\n\tContent-Type: application/octet-stream\r\n")
	b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(header))))
	b.Write(header)
	b.Write(data)
	b.WriteString("--" + boundary + "--\r\n")
	return b.Bytes(), sealedType + `;protocol="` + protocol + `";boundary="` + boundary + `"`, nil
}

// unseal opens the body of an answer.
func unseal(s Sealer, contentType string, body []byte) ([]byte, error) {
	header, data, length, err := parseSealed(contentType, body)
	if err != nil {
		return nil, err
	}
	plain, err := s.Unwrap(header, data)
	if err != nil {
		return nil, err
	}
	if len(plain) != length {
		return nil, errMultipart
	}
	return plain, nil
}

// sealed reports whether a content type is that of a sealed message.
func sealed(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(t), sealedType)
}

// parseSealed takes a sealed message apart. Exchange writes a space between the two
// hyphens and the boundary.
func parseSealed(contentType string, body []byte) (header, data []byte, length int, err error) {
	t, params, err := mime.ParseMediaType(contentType)
	if err != nil || t != sealedType {
		return nil, nil, 0, errMultipart
	}
	mark := params["boundary"]
	if mark == "" || len(mark) > 70 {
		return nil, nil, 0, errMultipart
	}
	rest, ok := cutDelimiter(body, mark, "")
	if !ok {
		return nil, nil, 0, errMultipart
	}
	length = -1
	for { // the first part: what was sealed
		line, after, found := bytes.Cut(rest, []byte("\r\n"))
		if !found || len(line) > 300 {
			return nil, nil, 0, errMultipart
		}
		if next, ok := cutDelimiter(rest, mark, ""); ok {
			rest = next
			break
		}
		rest = after
		name, value, _ := strings.Cut(string(line), ":")
		if strings.EqualFold(strings.TrimSpace(name), "OriginalContent") {
			if length, ok = originalLength(value); !ok {
				return nil, nil, 0, errMultipart
			}
		}
	}
	if length < 0 || length > answerLimit {
		return nil, nil, 0, errMultipart
	}
	// The second part has one line and no empty one after it.
	line, rest, found := bytes.Cut(rest, []byte("\r\n"))
	if !found || !strings.EqualFold(strings.TrimSpace(string(line)), "Content-Type: application/octet-stream") {
		return nil, nil, 0, errMultipart
	}
	end := bytes.LastIndex(rest, []byte("--"+mark+"--"))
	if end < 0 {
		if end = bytes.LastIndex(rest, []byte("-- "+mark+"--")); end < 0 {
			return nil, nil, 0, errMultipart
		}
	}
	if tail, ok := cutDelimiter(rest[end:], mark, "--"); !ok || len(tail) > 0 {
		return nil, nil, 0, errMultipart
	}
	rest = rest[:end]
	if len(rest) < 4 {
		return nil, nil, 0, errMultipart
	}
	n := binary.LittleEndian.Uint32(rest)
	if rest = rest[4:]; uint64(n) > uint64(len(rest)) || n > 1<<10 {
		return nil, nil, 0, errMultipart
	}
	return rest[:n], rest[n:], length, nil
}

// cutDelimiter takes "--", at most one space, the boundary, what ends it and the line's end off b.
func cutDelimiter(b []byte, mark, end string) ([]byte, bool) {
	b, ok := bytes.CutPrefix(b, []byte("--"))
	if !ok {
		return nil, false
	}
	b = bytes.TrimPrefix(b, []byte(" "))
	return bytes.CutPrefix(b, []byte(mark+end+"\r\n"))
}

// originalLength reads "type=application/soap+xml;charset=UTF-8;Length=1234".
func originalLength(value string) (int, bool) {
	for _, part := range strings.Split(value, ";") {
		name, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case strings.EqualFold(name, "charset") && !strings.EqualFold(v, "UTF-8"):
			return 0, false
		case strings.EqualFold(name, "Length"):
			n, err := strconv.ParseUint(v, 10, 31)
			return int(n), err == nil
		}
	}
	return 0, false
}
