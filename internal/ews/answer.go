package ews

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
)

// Namespaces of EWS. Microsoft's pages show some of them with https; the real
// ones begin with http.
const (
	nsSOAP     = "http://schemas.xmlsoap.org/soap/envelope/"
	nsTypes    = "http://schemas.microsoft.com/exchange/services/2006/types"
	nsMessages = "http://schemas.microsoft.com/exchange/services/2006/messages"
)

// Limits of an answer. A real one to GetFolder has under 3 KiB and 12 levels.
const (
	sizeLimit    = 4 << 20
	depthLimit   = 64
	elementLimit = 20_000
)

var (
	errNotSOAP = errors.New("the answer is no SOAP envelope")
	errDoctype = errors.New("the answer holds a document type definition, which SOAP forbids")
	errTooBig  = errors.New("the answer is larger than 4 MiB")
	errTooDeep = errors.New("the answer has more elements or levels than any real one")
)

// Folder is a folder of a mailbox, as far as the server described it.
type Folder struct {
	ID               string
	ChangeKey        string
	DisplayName      string
	TotalCount       int
	ChildFolderCount int
	UnreadCount      int
}

// ServerVersion is the build of the Exchange server; zero when it did not say.
type ServerVersion struct {
	Major, Minor, MajorBuild, MinorBuild int
	Version                              string // schema version, e.g. V2018_01_08
}

// String writes the build as Exchange does: "15.20.8400.19".
func (v ServerVersion) String() string {
	if v == (ServerVersion{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d.%d", v.Major, v.Minor, v.MajorBuild, v.MinorBuild)
}

type envelope struct {
	XMLName xml.Name `xml:"http://schemas.xmlsoap.org/soap/envelope/ Envelope"`
	Header  struct {
		Version *serverVersion `xml:"ServerVersionInfo"`
	} `xml:"http://schemas.xmlsoap.org/soap/envelope/ Header"`
	Body struct {
		Fault     *fault `xml:"http://schemas.xmlsoap.org/soap/envelope/ Fault"`
		GetFolder *struct {
			Messages []message `xml:"ResponseMessages>GetFolderResponseMessage"`
		} `xml:"http://schemas.microsoft.com/exchange/services/2006/messages GetFolderResponse"`
	} `xml:"http://schemas.xmlsoap.org/soap/envelope/ Body"`
}

type serverVersion struct {
	Major      string `xml:"MajorVersion,attr"`
	Minor      string `xml:"MinorVersion,attr"`
	MajorBuild string `xml:"MajorBuildNumber,attr"`
	MinorBuild string `xml:"MinorBuildNumber,attr"`
	Version    string `xml:"Version,attr"`
}

type fault struct {
	Code   string `xml:"faultcode"`
	String string `xml:"faultstring"`
	Detail struct {
		Code    string  `xml:"ResponseCode"`
		Message string  `xml:"Message"`
		Values  []value `xml:"MessageXml>Value"`
	} `xml:"detail"`
}

type message struct {
	Class   string  `xml:"ResponseClass,attr"`
	Text    string  `xml:"MessageText"`
	Code    string  `xml:"ResponseCode"`
	Values  []value `xml:"MessageXml>Value"`
	Folders struct {
		Any []folder `xml:",any"` // Folder, CalendarFolder, SearchFolder …
	} `xml:"Folders"`
}

type value struct {
	Name string `xml:"Name,attr"`
	Text string `xml:",chardata"`
}

type folder struct {
	ID struct {
		ID        string `xml:"Id,attr"`
		ChangeKey string `xml:"ChangeKey,attr"`
	} `xml:"FolderId"`
	DisplayName      string `xml:"DisplayName"`
	TotalCount       string `xml:"TotalCount"`
	ChildFolderCount string `xml:"ChildFolderCount"`
	UnreadCount      string `xml:"UnreadCount"`
	rightsXML
}

// answer is what a SOAP envelope says, wherever it says it.
type answer struct {
	version ServerVersion
	folder  Folder
	rights  rightsXML
	code    string        // empty or NoError: all is well
	text    string        // why not
	backOff time.Duration // BackOffMilliseconds of ErrorServerBusy
	fault   bool          // a SOAP fault, not a response message
}

// parse reads an envelope.
func parse(body []byte) (answer, error) {
	var a answer
	if len(body) > sizeLimit {
		return a, errTooBig
	}
	if err := scan(body); err != nil {
		return a, err
	}
	var e envelope
	if err := xml.Unmarshal(body, &e); err != nil {
		return a, errNotSOAP
	}
	if v := e.Header.Version; v != nil {
		a.version = ServerVersion{
			Major: number(v.Major), Minor: number(v.Minor),
			MajorBuild: number(v.MajorBuild), MinorBuild: number(v.MinorBuild),
			Version: transport.CleanText(v.Version, 40),
		}
	}
	switch {
	case e.Body.Fault != nil:
		f := e.Body.Fault
		a.fault = true
		a.code, a.text = codeOf(f.Detail.Code), transport.CleanText(f.Detail.Message, 1000)
		if a.code == "" {
			// Without detail the code stands behind the prefix of faultcode: "a:ErrorSchemaValidation".
			_, c, _ := strings.Cut(f.Code, ":")
			if a.code = codeOf(c); !strings.HasPrefix(a.code, "Error") {
				a.code = ""
			}
		}
		if a.text == "" {
			a.text = transport.CleanText(f.String, 1000)
		}
		a.backOff = backOff(f.Detail.Values)
	case e.Body.GetFolder != nil && len(e.Body.GetFolder.Messages) > 0:
		m := e.Body.GetFolder.Messages[0]
		a.code, a.text = codeOf(m.Code), transport.CleanText(m.Text, 1000)
		a.backOff = backOff(m.Values)
		if m.Class == "Error" && (a.code == "" || a.code == "NoError") {
			a.code = "ErrorUnknown"
		}
		if m.Class != "Error" {
			a.code = "NoError" // a warning still answers the question
		}
		if len(m.Folders.Any) > 0 {
			f := m.Folders.Any[0]
			a.folder = Folder{
				ID: transport.CleanText(f.ID.ID, 1000), ChangeKey: transport.CleanText(f.ID.ChangeKey, 1000),
				DisplayName: transport.CleanText(f.DisplayName, 200),
				TotalCount:  number(f.TotalCount), ChildFolderCount: number(f.ChildFolderCount), UnreadCount: number(f.UnreadCount),
			}
			a.rights = f.rightsXML
		}
	default:
		return a, errNotSOAP
	}
	return a, nil
}

// scan looks at the tokens before anything is built of them.
func scan(body []byte) error {
	d := xml.NewDecoder(bytes.NewReader(body))
	depth, count := 0, 0
	for {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errNotSOAP
		}
		switch t.(type) {
		case xml.StartElement:
			depth++
			count++
		case xml.EndElement:
			depth--
		case xml.Directive:
			return errDoctype
		}
		if depth > depthLimit || count > elementLimit {
			return errTooDeep
		}
	}
}

func codeOf(s string) string { return transport.CleanText(strings.TrimSpace(s), 100) }

func number(s string) int {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < 0 || n > 1<<30 {
		return 0
	}
	return n
}

func backOff(values []value) time.Duration {
	for _, v := range values {
		if v.Name == "BackOffMilliseconds" {
			return time.Duration(number(v.Text)) * time.Millisecond
		}
	}
	return 0
}
