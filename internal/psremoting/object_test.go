package psremoting_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	. "github.com/c2conn/c2conn/internal/psremoting"
)

// one runs a command that puts out one object.
func one(t *testing.T, xml string) Object {
	t.Helper()
	out, err := newServer(t, outputs(xml)).open1(t).Run(t.Context(), command("Get-X"))
	if err != nil || len(out.Objects) != 1 {
		t.Fatalf("%s: %+v %v", xml, out, err)
	}
	return out.Objects[0]
}

func (s *server) open1(*testing.T) *Session { return s.open(s.options()) }

func TestPrimitives(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 29, 13, 0, 5, 123456700, time.UTC)
	cases := []struct {
		xml  string
		kind string
		want any
	}{
		{`<S>a_x000A_b_x005F_x_xD83D__xDE00__xD83D_c_xZZZZ_</S>`, "System.String", "a\nb_x\U0001f600\ufffdc_xZZZZ_"},
		{`<S>&lt;&amp;&#x41;</S>`, "System.String", "<&A"},
		{`<S/>`, "System.String", ""},
		{`<C>97</C>`, "System.Char", "a"},
		{`<B>true</B>`, "System.Boolean", true},
		{`<B>false</B>`, "System.Boolean", false},
		{`<B>yes</B>`, "System.Boolean", nil},
		{`<DT>2026-11-29T13:00:05.1234567Z</DT>`, "System.DateTime", at},
		{`<DT>2026-11-29T13:00:05.1234567</DT>`, "System.DateTime", at},
		{`<DT>yesterday</DT>`, "System.DateTime", nil},
		{`<TS>P1DT2H3M4.5S</TS>`, "System.TimeSpan", 26*time.Hour + 3*time.Minute + 4500*time.Millisecond},
		{`<TS>-PT0.0000001S</TS>`, "System.TimeSpan", -100 * time.Nanosecond},
		{`<TS>PT15M</TS>`, "System.TimeSpan", 15 * time.Minute},
		{`<TS>P10675199DT2H48M5.4775807S</TS>`, "System.TimeSpan", nil}, // TimeSpan.MaxValue
		{`<TS>P1H</TS>`, "System.TimeSpan", nil},
		{`<TS>PT1S1M</TS>`, "System.TimeSpan", nil},
		{`<TS>P</TS>`, "System.TimeSpan", nil},
		{`<By>255</By>`, "System.Byte", int64(255)},
		{`<SB>-128</SB>`, "System.SByte", int64(-128)},
		{`<SB>200</SB>`, "System.SByte", nil},
		{`<U16>65535</U16>`, "System.UInt16", int64(65535)},
		{`<I16>-1</I16>`, "System.Int16", int64(-1)},
		{`<U32>4294967295</U32>`, "System.UInt32", int64(4294967295)},
		{`<I32>-2147483648</I32>`, "System.Int32", int64(-2147483648)},
		{`<I32>2147483648</I32>`, "System.Int32", nil},
		{`<U64>18446744073709551615</U64>`, "System.UInt64", uint64(18446744073709551615)},
		{`<I64>-9223372036854775808</I64>`, "System.Int64", int64(-9223372036854775808)},
		{`<Sg>12.5</Sg>`, "System.Single", 12.5},
		{`<Db>-1E+300</Db>`, "System.Double", -1e300},
		{`<D>79228162514264337593543950335</D>`, "System.Decimal", "79228162514264337593543950335"},
		{`<BA>AQID</BA>`, "System.Byte[]", []byte{1, 2, 3}},
		{`<BA>!</BA>`, "System.Byte[]", nil},
		{`<G>792e5b37-4505-47ef-b7d2-8711bb7affa8</G>`, "System.Guid", "792e5b37-4505-47ef-b7d2-8711bb7affa8"},
		{`<URI>https://exch01/</URI>`, "System.Uri", "https://exch01/"},
		{`<Version>15.2.1544.4</Version>`, "System.Version", "15.2.1544.4"},
		{`<XD>&lt;a/&gt;</XD>`, "System.Xml.XmlDocument", "<a/>"},
		{`<SBK>Get-X</SBK>`, "System.Management.Automation.ScriptBlock", "Get-X"},
	}
	var list []string
	for _, c := range cases {
		list = append(list, c.xml)
	}
	got := one(t, `<Obj RefId="0"><LST>`+strings.Join(list, "\n ")+`</LST></Obj>`).List
	for i, c := range cases {
		if o := got[i]; !reflect.DeepEqual(o.Value, c.want) || !reflect.DeepEqual(o.Types, []string{c.kind}) {
			t.Errorf("%s: %#v of %s", c.xml, o.Value, o.Types)
		}
		if s, ok := c.want.(string); ok && c.kind != "System.Char" && got[i].Text != s {
			t.Errorf("%s: %q", c.xml, got[i].Text)
		}
	}
	if o := one(t, `<Nil/>`); !o.IsNull() {
		t.Errorf("%+v", o)
	}
	if o := one(t, `<SS>01000000d08c9ddf</SS>`); o.Text != "" || o.Value != nil || o.IsNull() {
		t.Errorf("a secure string was kept: %+v", o)
	}
}

func TestObjects(t *testing.T) {
	t.Parallel()
	o := one(t, `<Obj RefId="0">
	 <TN RefId="0"><T>Deserialized.Microsoft.Exchange.Data.Directory.Management.Mailbox</T><T>Deserialized.System.Object</T></TN>
	 <ToString>bob_x000A_</ToString>
	 <Props>
	  <S N="Name">bob</S>
	  <Obj N="RecipientTypeDetails" RefId="1"><TN RefId="1"><T>Deserialized.RecipientTypeDetails</T><T>System.Enum</T></TN><ToString>UserMailbox</ToString><I32>1</I32></Obj>
	  <Obj N="EmailAddresses" RefId="2"><TN RefId="2"><T>Deserialized.ProxyAddressCollection</T></TN><LST><S>SMTP:bob@corp.test</S><Obj RefId="3"><TNRef RefId="2"/><S>x</S></Obj></LST></Obj>
	  <Obj N="Map" RefId="4"><DCT><En><S N="Key">k</S><I32 N="Value">7</I32></En></DCT></Obj>
	  <Ref N="Again" RefId="2"/>
	  <Ref N="Self" RefId="0"/>
	  <Obj N="Queue" RefId="5"><QUE><I32>1</I32></QUE></Obj><Obj N="Stack" RefId="6"><STK><I32>2</I32></STK></Obj><Obj N="Other" RefId="7"><IE><I32>3</I32></IE></Obj>
	  <B N="Enabled">true</B><DT N="Made">2026-01-02T03:04:05Z</DT>
	 </Props>
	 <MS><S N="PSComputer_x004E_ame">exch01</S><Nil N="name"/></MS>
	</Obj>`)
	if o.Types[0] != "Deserialized.Microsoft.Exchange.Data.Directory.Management.Mailbox" || o.Text != "bob\n" || o.String() != "bob" {
		t.Errorf("%+v", o)
	}
	names := ""
	for _, p := range o.Properties {
		names += p.Name + " "
	}
	if names != "Name RecipientTypeDetails EmailAddresses Map Again Self Queue Stack Other Enabled Made PSComputerName name " {
		t.Error(names)
	}
	get := func(name string) Object {
		v, ok := o.Get(name)
		if !ok {
			t.Errorf("no %s", name)
		}
		return v
	}
	if v, ok := get("recipienttypedetails").Int(); !ok || v != 1 || get("RecipientTypeDetails").Text != "UserMailbox" {
		t.Error(get("RecipientTypeDetails"))
	}
	addresses := get("EmailAddresses")
	if len(addresses.List) != 2 || addresses.List[0].Text != "SMTP:bob@corp.test" || addresses.List[1].Value != "x" || addresses.List[1].Types[0] != "Deserialized.ProxyAddressCollection" {
		t.Errorf("%+v", addresses)
	}
	if !reflect.DeepEqual(get("Again"), addresses) {
		t.Errorf("%+v", get("Again"))
	}
	if e := get("Map").Entries; len(e) != 1 || e[0].Key.Text != "k" || e[0].Value.Value != int64(7) {
		t.Errorf("%+v", e)
	}
	// What encloses itself is named, and not repeated.
	if self := get("Self"); self.Text != "bob\n" || self.Properties != nil || !reflect.DeepEqual(self.Types, o.Types) {
		t.Errorf("%+v", self)
	}
	for i, name := range []string{"Queue", "Stack", "Other"} {
		if v := get(name); len(v.List) != 1 || v.List[0].Value != int64(i+1) {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if v, ok := get("Enabled").Bool(); !v || !ok {
		t.Error("Enabled")
	}
	if v, ok := get("Made").Time(); !ok || v.Year() != 2026 {
		t.Error("Made")
	}
	if _, ok := get("Made").Bool(); ok {
		t.Error("a time is no Boolean")
	}
	if v := get("PSComputerName"); v.Text != "exch01" {
		t.Error(v)
	}
	if _, ok := o.Get("Nothing"); ok {
		t.Error("found nothing")
	}
}
