package psremoting

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// kind is a primitive type of CLIXML. Source: MS-PSRP 2.2.5.1.
type kind struct {
	dotnet string
	parse  func(string) any // nil: the text is the value
	escape bool             // the text has _xHHHH_ escapes
	hidden bool             // nothing of it is kept
}

// primitive returns the type that an element stands for.
func primitive(element string) (kind, bool) {
	switch element {
	case "S":
		return kind{dotnet: "System.String", escape: true}, true
	case "I32":
		return kind{dotnet: "System.Int32", parse: signed(32)}, true
	case "I64":
		return kind{dotnet: "System.Int64", parse: signed(64)}, true
	case "B":
		return kind{dotnet: "System.Boolean", parse: boolean}, true
	case "Nil":
		return kind{hidden: true}, true
	case "DT":
		return kind{dotnet: "System.DateTime", parse: dateTime}, true
	case "TS":
		return kind{dotnet: "System.TimeSpan", parse: timeSpan}, true
	case "G":
		return kind{dotnet: "System.Guid"}, true
	case "URI":
		return kind{dotnet: "System.Uri", escape: true}, true
	case "Version":
		return kind{dotnet: "System.Version"}, true
	case "BA":
		return kind{dotnet: "System.Byte[]", parse: bytesOf}, true
	case "C":
		return kind{dotnet: "System.Char", parse: char}, true
	case "By":
		return kind{dotnet: "System.Byte", parse: signed(64)}, true
	case "SB":
		return kind{dotnet: "System.SByte", parse: signed(8)}, true
	case "I16":
		return kind{dotnet: "System.Int16", parse: signed(16)}, true
	case "U16":
		return kind{dotnet: "System.UInt16", parse: signed(64)}, true
	case "U32":
		return kind{dotnet: "System.UInt32", parse: signed(64)}, true
	case "U64":
		return kind{dotnet: "System.UInt64", parse: unsigned}, true
	case "Sg":
		return kind{dotnet: "System.Single", parse: float}, true
	case "Db":
		return kind{dotnet: "System.Double", parse: float}, true
	case "D":
		return kind{dotnet: "System.Decimal"}, true // more digits than a float64 has: the text is the value
	case "SBK":
		return kind{dotnet: "System.Management.Automation.ScriptBlock", escape: true}, true
	case "XD":
		return kind{dotnet: "System.Xml.XmlDocument", escape: true}, true
	case "SS":
		return kind{dotnet: "System.Security.SecureString", hidden: true}, true
	}
	return kind{}, false
}

// object makes the Object of a text. Where the text is no value of the type, the
// object has the text alone: one odd value is no reason to lose a mailbox.
func (k kind) object(text string) Object {
	switch {
	case k.dotnet == "":
		return Object{}
	case k.hidden:
		return Object{Types: []string{k.dotnet}}
	case k.escape:
		text = unescape(text)
	}
	o := Object{Types: []string{k.dotnet}, Text: text, Value: text}
	if k.parse != nil {
		o.Value = k.parse(strings.TrimSpace(text))
	}
	return o
}

func signed(bits int) func(string) any {
	return func(s string) any {
		if n, err := strconv.ParseInt(s, 10, bits); err == nil {
			return n
		}
		return nil
	}
}

func unsigned(s string) any {
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n
	}
	return nil
}

func boolean(s string) any {
	switch s {
	case "true", "1":
		return true
	case "false", "0":
		return false
	}
	return nil
}

func float(s string) any {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return f
	}
	return nil
}

// char reads a UTF-16 unit written as a number.
func char(s string) any {
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		return string(rune(n))
	}
	return nil
}

func bytesOf(s string) any {
	if b, err := base64.StdEncoding.DecodeString(s); err == nil {
		return b
	}
	return nil
}

// dateTime reads an xs:dateTime. One without an offset is the server's local time,
// whose offset nobody knows; it is taken for UTC.
func dateTime(s string) any {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	return nil
}

// timeSpan reads an xs:duration of days, hours, minutes and seconds. One longer than
// the 292 years of a time.Duration is none.
func timeSpan(s string) any {
	rest, negative := strings.CutPrefix(s, "-")
	rest, ok := strings.CutPrefix(rest, "P")
	if !ok || rest == "" {
		return nil
	}
	var total float64
	units, clock := "D", false
	for rest != "" {
		if after, ok := strings.CutPrefix(rest, "T"); ok && !clock {
			rest, units, clock = after, "HMS", true
			continue
		}
		i := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if i <= 0 || !strings.Contains(units, rest[i:i+1]) {
			return nil
		}
		n, err := strconv.ParseFloat(rest[:i], 64)
		if err != nil {
			return nil
		}
		switch rest[i] {
		case 'D':
			n *= 24 * 60 * 60
		case 'H':
			n *= 60 * 60
		case 'M':
			n *= 60
		}
		total += n
		units = units[strings.IndexByte(units, rest[i])+1:]
		rest = rest[i+1:]
	}
	if total > 290*365*24*60*60 {
		return nil
	}
	// .NET counts in ticks of 100 ns.
	d := time.Duration(total*1e7+0.5) * 100
	if negative {
		d = -d
	}
	return d
}

// unescape resolves _xHHHH_, each a UTF-16 unit. Source: MS-PSRP 2.2.5.3.2.
func unescape(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	var b strings.Builder
	for s != "" {
		u, n := escaped(s)
		if n == 0 {
			_, n = utf8.DecodeRuneInString(s)
			b.WriteString(s[:n])
			s = s[n:]
			continue
		}
		s = s[n:]
		if utf16.IsSurrogate(u) {
			if low, n := escaped(s); n > 0 {
				if r := utf16.DecodeRune(u, low); r != utf8.RuneError {
					u, s = r, s[n:]
				}
			}
		}
		b.WriteRune(u) // half of a pair becomes U+FFFD
	}
	return b.String()
}

// escaped reads the escape that s begins with; n is 0 where it begins with none.
func escaped(s string) (unit rune, n int) {
	if len(s) < 7 || s[0] != '_' || s[1] != 'x' || s[6] != '_' {
		return 0, 0
	}
	u, err := strconv.ParseUint(s[2:6], 16, 16)
	if err != nil {
		return 0, 0
	}
	return rune(u), 7
}
