package sharepoint

import "strings"

// wsdl describes what SiteData.asmx has here, as ?WSDL tells it.
func wsdl(address string) string {
	type operation struct{ name, in, out string }
	text := func(names ...string) string {
		var b strings.Builder
		for _, n := range names {
			name, kind, _ := strings.Cut(n, " ")
			least := "0"
			if kind != "s:string" {
				least = "1"
			}
			b.WriteString(`<s:element minOccurs="` + least + `" maxOccurs="1" name="` + name + `" type="` + kind + `"/>`)
		}
		return b.String()
	}
	operations := []operation{
		{"GetContent", text("objectType tns:ObjectType", "objectId s:string", "folderUrl s:string", "itemId s:string", "retrieveChildItems s:boolean", "securityOnly s:boolean", "lastItemIdOnPage s:string"),
			text("GetContentResult s:string", "lastItemIdOnPage s:string")},
		{"GetSiteUrl", text("Url s:string"), text("GetSiteUrlResult s:unsignedInt", "siteUrl s:string", "siteId s:string")},
		{"GetURLSegments", text("strURL s:string"), text("GetURLSegmentsResult s:boolean", "strWebID s:string", "strBucketID s:string", "strListID s:string", "strItemID s:string")},
	}
	var types, messages, port, binding strings.Builder
	for _, o := range operations {
		types.WriteString(`<s:element name="` + o.name + `"><s:complexType><s:sequence>` + o.in + `</s:sequence></s:complexType></s:element>` +
			`<s:element name="` + o.name + `Response"><s:complexType><s:sequence>` + o.out + `</s:sequence></s:complexType></s:element>`)
		messages.WriteString(`<wsdl:message name="` + o.name + `SoapIn"><wsdl:part name="parameters" element="tns:` + o.name + `"/></wsdl:message>` +
			`<wsdl:message name="` + o.name + `SoapOut"><wsdl:part name="parameters" element="tns:` + o.name + `Response"/></wsdl:message>`)
		port.WriteString(`<wsdl:operation name="` + o.name + `"><wsdl:input message="tns:` + o.name + `SoapIn"/><wsdl:output message="tns:` + o.name + `SoapOut"/></wsdl:operation>`)
		binding.WriteString(`<wsdl:operation name="` + o.name + `"><SOAP:operation soapAction="` + service + o.name + `" style="document"/><wsdl:input><SOAP:body use="literal"/></wsdl:input><wsdl:output><SOAP:body use="literal"/></wsdl:output></wsdl:operation>`)
	}
	types.WriteString(`<s:simpleType name="ObjectType"><s:restriction base="s:string">`)
	for _, kind := range strings.Fields("VirtualServer ContentDatabase SiteCollection Site List Folder ListItem ListItemAttachments") {
		types.WriteString(`<s:enumeration value="` + kind + `"/>`)
	}
	types.WriteString(`</s:restriction></s:simpleType>`)
	of := func(prefix, name string) string {
		return `<wsdl:binding name="` + name + `" type="tns:SiteDataSoap"><` + prefix + `:binding transport="http://schemas.xmlsoap.org/soap/http"/>` + strings.ReplaceAll(binding.String(), "SOAP:", prefix+":") + `</wsdl:binding>`
	}
	return `<?xml version="1.0" encoding="utf-8"?><wsdl:definitions xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:tns="` + service +
		`" xmlns:s="http://www.w3.org/2001/XMLSchema" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" targetNamespace="` + service + `"><wsdl:types><s:schema elementFormDefault="qualified" targetNamespace="` + service + `">` + types.String() +
		`</s:schema></wsdl:types>` + messages.String() + `<wsdl:portType name="SiteDataSoap">` + port.String() + `</wsdl:portType>` + of("soap", "SiteDataSoap") + of("soap12", "SiteDataSoap12") +
		`<wsdl:service name="SiteData"><wsdl:port name="SiteDataSoap" binding="tns:SiteDataSoap"><soap:address location=` + attribute(address) + `/></wsdl:port><wsdl:port name="SiteDataSoap12" binding="tns:SiteDataSoap12"><soap12:address location=` +
		attribute(address) + `/></wsdl:port></wsdl:service></wsdl:definitions>`
}
