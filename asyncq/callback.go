package asyncq

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"
)

// maxCallbackBytes bounds a callback URL.
const maxCallbackBytes = 2048

// A CallbackPolicy says which callback URLs are allowed. The zero value allows https
// to port 443 of public addresses. A [Producer] checks URLs when jobs are submitted.
// Package webhook checks them again, and also each address that it dials.
type CallbackPolicy struct {
	// Ports are the ports that a URL may have. The default is 443.
	Ports []uint16

	// AllowPrefixes are networks that are allowed although they are not public, such
	// as the network of your own receivers. There are none by default.
	AllowPrefixes []netip.Prefix

	// AllowHTTP also allows http, but only to an address in AllowPrefixes or to
	// "localhost", for a receiver that you test on your own machine. By default only
	// https is allowed.
	AllowHTTP bool
}

// notPublic are networks that package ssrf does not know.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("168.63.129.16/32"), // the platform address of Azure (Microsoft Learn, "What is IP address 168.63.129.16?")
	netip.MustParsePrefix("3fff::/20"),        // documentation (RFC 9637)
}

// Check returns an error if a URL is not https to a host and an allowed port, if it
// has a user or more than 2,048 bytes, or if its host is an address, or a name of this
// machine, that is not allowed. It does not look up names; [CallbackPolicy.Control]
// checks the addresses of a name. The error does not quote the URL.
func (p CallbackPolicy) Check(rawURL string) error {
	if len(rawURL) > maxCallbackBytes {
		return fmt.Errorf("has %d bytes; it has at most %d", len(rawURL), maxCallbackBytes)
	}
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		return errors.New("is not a URL such as https://host/path") // err quotes it
	case u.Scheme != "https" && !p.plain(u):
		return errors.New("is not an https URL")
	case u.User != nil:
		return errors.New("has a user; it must have none")
	case u.Opaque != "" || u.Hostname() == "":
		return errors.New("has no host; it must be https://host/path")
	case strings.HasSuffix(u.Host, ":"):
		return errors.New("has a colon after its host and no port")
	}
	port := uint16(443)
	if u.Scheme == "http" {
		port = 80
	}
	if s := u.Port(); s != "" {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil || n == 0 {
			return errors.New("has a port that is not between 1 and 65535")
		}
		port = uint16(n)
	}
	if ports := p.ports(); !slices.Contains(ports, port) {
		return fmt.Errorf("has the port %d; allowed is %v", port, ports)
	}
	host := u.Hostname()
	if address, err := netip.ParseAddr(host); err == nil {
		address = address.Unmap() // as it is dialled
		network := "tcp6"
		if address.Is4() {
			network = "tcp4"
		}
		if address.Zone() != "" || p.Control(network, netip.AddrPortFrom(address, port).String(), nil) != nil {
			return errors.New("has an address that is not public")
		}
		return nil
	}
	return p.checkName(host)
}

// plain reports whether a URL may be http.
func (p CallbackPolicy) plain(u *url.URL) bool {
	if u.Scheme != "http" || !p.AllowHTTP {
		return false
	}
	address, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return u.Hostname() == "localhost"
	}
	return slices.ContainsFunc(p.AllowPrefixes, func(prefix netip.Prefix) bool { return prefix.Contains(address.Unmap()) })
}

// checkName checks a host that is not an address.
func (p CallbackPolicy) checkName(host string) error {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "" || len(name) > 253 {
		return fmt.Errorf("has a host name of %d bytes; it has 1 to 253", len(name))
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return errors.New("has a host that is no DNS name; an international name is written as xn--…")
		}
	}
	last := labels[len(labels)-1]
	if last[0] >= '0' && last[0] <= '9' {
		// Resolvers read 127.1, 2130706433 and 0x7f.1 as addresses.
		return errors.New("has a host that looks like an address and is not a.b.c.d")
	}
	if last == "localhost" && len(p.AllowPrefixes) == 0 {
		return errors.New("has a host name of the machine itself")
	}
	return nil
}

func (p CallbackPolicy) ports() []uint16 {
	if len(p.Ports) == 0 {
		return []uint16{443}
	}
	return p.Ports
}

// Control returns an error if an address or its port is not allowed. Use it as the
// Control of a [net.Dialer]: it then gets each address after the name was looked up.
func (p CallbackPolicy) Control(network, address string, conn syscall.RawConn) error {
	var allowed, denied [2][]netip.Prefix // IPv4, IPv6
	sort := func(to *[2][]netip.Prefix, prefixes []netip.Prefix) {
		for _, prefix := range prefixes {
			i := 1
			if prefix.Addr().Is4() {
				i = 0
			}
			to[i] = append(to[i], prefix)
		}
	}
	sort(&allowed, p.AllowPrefixes)
	sort(&denied, notPublic)
	return ssrf.New(ssrf.WithPorts(p.ports()...),
		ssrf.WithAllowedV4Prefixes(allowed[0]...), ssrf.WithAllowedV6Prefixes(allowed[1]...),
		ssrf.WithDeniedV4Prefixes(denied[0]...), ssrf.WithDeniedV6Prefixes(denied[1]...)).Safe(network, address, conn)
}
