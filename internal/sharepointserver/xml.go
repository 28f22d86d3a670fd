package sharepointserver

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// depthLimit is for elements in elements; real answers have under ten.
const depthLimit = 64

var (
	errXML     = errors.New("the answer is no XML of SharePoint")
	errDoctype = errors.New("the answer holds a document type definition")
)

// tokens reads XML as a stream and calls start, chars and end. Document types are
// refused, and with them all entities but the five of XML. SharePoint writes characters
// that XML does not allow, such as &#31;: they are left out.
func tokens(b []byte, start func(depth int, e xml.StartElement), chars func([]byte), end func(depth int)) error {
	d := xml.NewDecoder(bytes.NewReader(allowed(b)))
	// A text within a text may bear the name of another encoding, but is UTF-8 by then.
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	depth, elements := 0, 0
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) && elements > 0 {
			return nil
		}
		if err != nil {
			return errXML
		}
		switch t := t.(type) {
		case xml.StartElement:
			depth++
			elements++
			if depth > depthLimit {
				return errXML
			}
			start(depth, t)
		case xml.CharData:
			chars(t)
		case xml.EndElement:
			end(depth)
			depth--
		case xml.Directive:
			return errDoctype
		}
	}
}

// texts reads the texts of a SOAP envelope or of an error: the first of each of the
// elements that are known here. With an error it returns what came before it.
func texts(b []byte) (root xml.Name, found map[string]string, err error) {
	found = map[string]string{}
	var name string // of the element that is being read
	var text strings.Builder
	err = tokens(b, func(depth int, e xml.StartElement) {
		if depth == 1 {
			root = e.Name
		}
		name = ""
		switch e.Name.Local {
		case "GetContentResult", "faultcode", "faultstring", "errorstring", "errorcode", "code", "message":
			if _, again := found[e.Name.Local]; !again {
				name = e.Name.Local
				text.Reset()
			}
		}
	}, func(c []byte) {
		if name != "" {
			text.Write(c)
		}
	}, func(int) {
		if name != "" {
			found[name] = text.String()
		}
		name = ""
	})
	return root, found, err
}

// attributes reads one attribute of all elements at a path, e.g. the ID of each
// VirtualServer, ContentDatabases, ContentDatabase.
func attributes(b []byte, attribute string, path ...string) ([]string, error) {
	var found []string
	matched, wrong := 0, false // elements of path that we are in
	err := tokens(b, func(depth int, e xml.StartElement) {
		if depth != matched+1 || depth > len(path) {
			return
		}
		if e.Name.Local != path[matched] {
			wrong = wrong || depth == 1
			return
		}
		if matched++; matched < len(path) {
			return
		}
		for _, a := range e.Attr {
			if strings.EqualFold(a.Name.Local, attribute) {
				found = append(found, a.Value)
				break
			}
		}
	}, func([]byte) {}, func(depth int) {
		if depth == matched {
			matched--
		}
	})
	if err == nil && wrong {
		err = errXML
	}
	return found, err
}

// allowed leaves out what XML 1.0, section 2.2, does not allow, also as a reference.
func allowed(b []byte) []byte {
	const longest = len("&#x0010FFFF;")
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		if bytes.HasPrefix(b, []byte("&#")) {
			if end := bytes.IndexByte(b[:min(len(b), longest)], ';'); end > 0 {
				number, base := string(b[2:end]), 10
				if strings.HasPrefix(number, "x") {
					number, base = number[1:], 16
				}
				if n, err := strconv.ParseUint(number, base, 32); err == nil && !character(rune(min(n, utf8.MaxRune+1))) {
					b = b[end+1:]
					continue
				}
			}
		}
		r, n := utf8.DecodeRune(b)
		if character(r) && (r != utf8.RuneError || n > 1) {
			out = append(out, b[:n]...)
		}
		b = b[n:]
	}
	return out
}

func character(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= utf8.MaxRune
}
