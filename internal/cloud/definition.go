package cloud

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDefinition bounds a definition file; real ones have a few kilobytes.
const maxDefinition = 64 << 10

// keys of a definition, in the order messages list them.
var keys = [...]string{"name", "title", "authority", "graph", "outlook", "sharepoint_suffix", "portal", "ca_certificate"}

// Parse reads a cloud definition: a YAML mapping with name, authority, graph and
// outlook, and, where wanted, title, sharepoint_suffix, portal and ca_certificate
// (PEM). Anything else in it is a *DefinitionError.
func Parse(data []byte) (Cloud, error) {
	values, err := readKeys(data)
	if err != nil {
		return Cloud{}, err
	}
	d := definition{values: values}
	c := Cloud{
		Name:             d.name(),
		Title:            d.title(),
		Login:            d.base("authority", true),
		Graph:            d.base("graph", true),
		Outlook:          d.base("outlook", true),
		SharePointSuffix: d.suffix(),
		Portal:           d.base("portal", false),
		CA:               d.certificates(),
	}
	if d.err != nil {
		return Cloud{}, d.err
	}
	if c.Title == "" {
		c.Title = c.Name
	}
	return c, nil
}

type value struct {
	text string
	line int
}

// readKeys walks the YAML nodes instead of decoding into a struct: an unknown
// key is then named with its line, and anchors cannot make the input grow.
func readKeys(data []byte) (map[string]value, error) {
	if len(data) > maxDefinition {
		return nil, &DefinitionError{Text: fmt.Sprintf("the file has %d bytes; a definition has at most %d", len(data), maxDefinition)}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		return nil, &DefinitionError{Text: "this is not YAML: " + printable(strings.TrimPrefix(err.Error(), "yaml: ")), Err: err}
	}
	var rest yaml.Node
	if err := decoder.Decode(&rest); err == nil {
		return nil, &DefinitionError{Line: rest.Line, Text: "the file holds more than one document; a file defines one cloud"}
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, &DefinitionError{Text: "the file must consist of lines of the form \"key: value\", with the keys " + strings.Join(keys[:], ", ")}
	}
	values := map[string]value{}
	content := doc.Content[0].Content
	for i := 0; i+1 < len(content); i += 2 {
		key, val := content[i], content[i+1]
		if key.Kind != yaml.ScalarNode || !known(key.Value) {
			return nil, &DefinitionError{Line: key.Line, Text: fmt.Sprintf("unknown key %q; the keys are %s", shorten(key.Value), strings.Join(keys[:], ", "))}
		}
		if _, twice := values[key.Value]; twice {
			return nil, &DefinitionError{Line: key.Line, Key: key.Value, Text: "the key stands here a second time; keep one"}
		}
		if val.Kind != yaml.ScalarNode {
			return nil, &DefinitionError{Line: val.Line, Key: key.Value, Text: "a plain text is expected here"}
		}
		text := val.Value
		if val.Tag == "!!null" {
			text = ""
		}
		values[key.Value] = value{text: text, line: val.Line}
	}
	return values, nil
}

func known(key string) bool {
	for _, k := range keys {
		if k == key {
			return true
		}
	}
	return false
}

func shorten(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

// definition gathers the first error, so that Parse reads top to bottom.
type definition struct {
	values map[string]value
	err    error
}

func (d *definition) fail(key, format string, args ...any) {
	if d.err == nil {
		d.err = &DefinitionError{Line: d.values[key].line, Key: key, Text: fmt.Sprintf(format, args...)}
	}
}

func (d *definition) name() string {
	name := d.values["name"].text
	if problem := checkName(name); problem != "" {
		d.fail("name", "%s", problem)
	}
	return name
}

func (d *definition) title() string {
	title := strings.TrimSpace(d.values["title"].text)
	if len(title) > 100 || printable(title) != title {
		d.fail("title", "at most 100 bytes of visible text on one line are allowed")
	}
	return title
}

func (d *definition) base(key string, needed bool) string {
	raw := strings.TrimSpace(d.values[key].text)
	if raw == "" {
		if needed {
			d.fail(key, "the key is missing; it holds an address such as https://host.example")
		}
		return ""
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil, len(raw) > 300:
		d.fail(key, "%q is not an address; write https://host.example", shorten(raw))
	case u.Scheme != "https":
		d.fail(key, "%q does not start with https://; tokens and secrets travel only over TLS", shorten(raw))
	case u.User != nil:
		// the value is not repeated: what stands before the @ may be a password
		d.fail(key, "the address contains a user name or password; write https://host.example alone")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(raw, "#"):
		d.fail(key, "the address goes on after the host with ? or #; write https://host.example alone")
	case u.Opaque != "" || (u.Path != "" && u.Path != "/"):
		d.fail(key, "the address has a path; write https://host.example alone")
	default:
		host, problem := hostPort(u.Host)
		if problem != "" {
			d.fail(key, "%s", problem)
		}
		return "https://" + host
	}
	return ""
}

func (d *definition) suffix() string {
	raw := strings.TrimSpace(d.values["sharepoint_suffix"].text)
	if raw == "" {
		return ""
	}
	// People know it as *.sharepoint.com or .sharepoint.com.
	host, problem := hostPort(strings.TrimPrefix(strings.TrimPrefix(raw, "*"), "."))
	name, _, _ := strings.Cut(host, ":")
	if problem == "" && (net.ParseIP(name) != nil || !hostname(name)) {
		problem = fmt.Sprintf("%q is not a domain; write one such as sharepoint.com, without https://", shorten(raw))
	}
	if problem != "" {
		d.fail("sharepoint_suffix", "%s", problem)
	}
	return host
}

func (d *definition) certificates() []byte {
	text := []byte(strings.TrimSpace(d.values["ca_certificate"].text))
	if len(text) == 0 {
		return nil
	}
	var out bytes.Buffer
	for rest := text; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			if bytes.Contains(rest, []byte("-----BEGIN")) {
				d.fail("ca_certificate", "the PEM text is damaged; paste the certificate again from its BEGIN to its END line, indented evenly")
			}
			break
		}
		if strings.Contains(block.Type, "PRIVATE KEY") {
			d.fail("ca_certificate", "a private key stands here; take it out, only the certificate belongs here")
			break
		}
		if block.Type != "CERTIFICATE" {
			d.fail("ca_certificate", "a PEM block %q stands here; only certificates belong here", shorten(block.Type))
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			d.fail("ca_certificate", "the certificate cannot be read: %s", printable(err.Error()))
			break
		}
		// Headers and remarks are left behind: only what was checked is trusted.
		out.Write(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
	}
	if out.Len() == 0 {
		d.fail("ca_certificate", "no certificate is found here; it must be in PEM form (-----BEGIN CERTIFICATE-----)")
	}
	return out.Bytes()
}

// hostPort checks host[:port] and gives it in lower case without the port 443.
func hostPort(s string) (host, problem string) {
	name, port := strings.ToLower(s), ""
	if h, p, err := net.SplitHostPort(s); err == nil {
		name, port = strings.ToLower(h), p
		n, err := strconv.Atoi(p)
		if err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != p {
			return "", fmt.Sprintf("%q is no port; one is a number from 1 to 65535", shorten(p))
		}
	} else {
		name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	}
	if !hostname(name) {
		return "", fmt.Sprintf("%q is not a host name; an international name is written in its xn-- form", shorten(name))
	}
	if port == "443" {
		port = ""
	}
	switch {
	case port != "":
		return net.JoinHostPort(name, port), ""
	case strings.Contains(name, ":"):
		return "[" + name + "]", ""
	}
	return name, ""
}

// checkName says what is wrong with the name of a user's cloud, or nothing.
func checkName(name string) string {
	if name == "" {
		return "the key is missing; it holds the name that --cloud takes"
	}
	if !label(name) || len(name) > 32 {
		return fmt.Sprintf("%q is no name for a cloud; a name has at most 32 of the characters a-z, 0-9 and -, and does not begin or end with -", shorten(name))
	}
	if reserved(name) {
		return fmt.Sprintf("%q is a built-in or reserved name; choose another", name)
	}
	// A file of that name cannot exist on Windows.
	switch {
	case name == "con", name == "nul", name == "aux", name == "prn",
		len(name) == 4 && (name[:3] == "com" || name[:3] == "lpt"):
		return fmt.Sprintf("%q is the name of a device on Windows; choose another", name)
	}
	return ""
}

func reserved(name string) bool {
	if hint(name) != "" || retired(name) {
		return true
	}
	for _, c := range builtIn() {
		if c.Name == name {
			return true
		}
	}
	return false
}

func retired(name string) bool {
	return name == "germany" || name == "de" || name == "azuregermancloud"
}
