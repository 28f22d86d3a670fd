package psremoting

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The capabilities that we claim: those of Windows PowerShell 5.1, which writes 2.0
// for its own version here. Source: MS-PSRP 2.2.2.1.
const sessionCapability = `<Obj RefId="0"><MS><Version N="protocolversion">` + protocolVersion + `</Version>` +
	`<Version N="PSVersion">2.0</Version><Version N="SerializationVersion">1.1.0.1</Version></MS></Obj>`

const protocolVersion = "2.3"

// noHost says that there is no console on our side. Source: MS-PSRP 2.2.3.14.
const noHost = `<Obj N="HostInfo" RefId="%d"><MS><B N="_isHostNull">true</B><B N="_isHostUINull">true</B>` +
	`<B N="_isHostRawUINull">true</B><B N="_useRunspaceHost">true</B></MS></Obj>`

// writer writes CLIXML, counting the ids of objects.
type writer struct {
	strings.Builder
	id int
}

// next returns an id that is not used yet.
func (w *writer) next() int { w.id++; return w.id }

func (w *writer) printf(format string, a ...any) { fmt.Fprintf(w, format, a...) }

// enum writes a property that is an enumeration value.
func (w *writer) enum(name, kind, text string, value int) {
	id := w.next()
	w.printf(`<Obj N="%s" RefId="%d"><TN RefId="%d"><T>%s</T><T>System.Enum</T><T>System.ValueType</T><T>System.Object</T></TN>`+
		`<ToString>%s</ToString><I32>%d</I32></Obj>`, name, id, id, kind, text, value)
}

// initRunspacePool asks for one runspace. Source: MS-PSRP 2.2.2.2.
func initRunspacePool() []byte {
	var w writer
	w.WriteString(`<Obj RefId="0"><MS><I32 N="MinRunspaces">1</I32><I32 N="MaxRunspaces">1</I32>`)
	w.enum("PSThreadOptions", "System.Management.Automation.Runspaces.PSThreadOptions", "Default", 0)
	w.enum("ApartmentState", "System.Threading.ApartmentState", "Unknown", 2)
	w.printf(noHost, w.next())
	w.WriteString(`<Nil N="ApplicationArguments"/></MS></Obj>`)
	return []byte(w.String())
}

// createPipeline asks for a pipeline of one command. Source: MS-PSRP 2.2.2.10 and 2.2.3.11 to 2.2.3.13.
func createPipeline(c Command) []byte {
	const resultTypes = "System.Management.Automation.Runspaces.PipelineResultTypes"
	var w writer
	w.WriteString(`<Obj RefId="0"><MS><B N="NoInput">true</B>`)
	w.enum("ApartmentState", "System.Threading.ApartmentState", "Unknown", 2)
	w.enum("RemoteStreamOptions", "System.Management.Automation.RemoteStreamOptions", "0", 0)
	w.WriteString(`<B N="AddToHistory">false</B>`)
	w.printf(noHost, w.next())
	w.printf(`<Obj N="PowerShell" RefId="%d"><MS><B N="IsNested">false</B><Nil N="ExtraCmds"/>`, w.next())
	list := w.next()
	w.printf(`<Obj N="Cmds" RefId="%d"><TN RefId="%d"><T>System.Collections.Generic.List`+"`"+`1[[System.Management.Automation.PSObject, `+
		`System.Management.Automation, Version=1.0.0.0, Culture=neutral, PublicKeyToken=31bf3856ad364e35]]</T><T>System.Object</T></TN><LST>`, list, list)
	w.printf(`<Obj RefId="%d"><MS><S N="Cmd">%s</S><B N="IsScript">false</B><Nil N="UseLocalScope"/>`, w.next(), escape(c.Name))
	for _, name := range []string{"MergeMyResult", "MergeToResult", "MergePreviousResults", "MergeError", "MergeWarning", "MergeVerbose", "MergeDebug", "MergeInformation"} {
		w.enum(name, resultTypes, "None", 0)
	}
	w.printf(`<Obj N="Args" RefId="%d"><TNRef RefId="%d"/><LST>`, w.next(), list)
	for _, p := range c.Params {
		w.printf(`<Obj RefId="%d"><MS><S N="N">%s</S>`, w.next(), escape(p.name))
		w.value(p.value)
		w.WriteString(`</MS></Obj>`)
	}
	w.WriteString(`</LST></Obj></MS></Obj></LST></Obj><Nil N="History"/><B N="RedirectShellErrorOutputPipe">true</B></MS></Obj><B N="IsNested">false</B></MS></Obj>`)
	return []byte(w.String())
}

// value writes the value of a parameter.
func (w *writer) value(v any) {
	switch v := v.(type) {
	case string:
		w.printf(`<S N="V">%s</S>`, escape(v))
	case bool:
		w.printf(`<B N="V">%t</B>`, v)
	case int32:
		w.printf(`<I32 N="V">%d</I32>`, v)
	case []string:
		id := w.next()
		w.printf(`<Obj N="V" RefId="%d"><TN RefId="%d"><T>System.Collections.ArrayList</T><T>System.Object</T></TN><LST>`, id, id)
		for _, s := range v {
			w.printf(`<S>%s</S>`, escape(s))
		}
		w.WriteString(`</LST></Obj>`)
	}
}

// escape writes a text for CLIXML: what XML cannot hold, and what would look like an
// escape, as _xHHHH_. Source: MS-PSRP 2.2.5.3.2.
func escape(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case r == '"':
			b.WriteString("&quot;")
		case r == '_' && strings.HasPrefix(strings.ToLower(s[i:]), "_x"):
			b.WriteString("_x005F_")
		case r < ' ', r == 0x7f, r >= 0x80 && r < 0xa0, r == 0xfffe, r == 0xffff:
			fmt.Fprintf(&b, "_x%04X_", r)
		default:
			if r == utf8.RuneError {
				b.WriteString("_xFFFD_")
				continue
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}
