import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.*;
import org.apache.commons.lang.StringEscapeUtils;
import org.apache.velocity.VelocityContext;
import org.apache.velocity.app.VelocityEngine;

/**
 * Renders mapping templates as API Gateway does, by Apache Velocity 1.7: a list of
 * {"template", "body", "context", "stageVariables"} comes as JSON and goes as a list of
 * {"text", "override"} or {"error"}. The variables are those of "API Gateway mapping
 * template and access logging variable reference".
 */
public class Render {
    public static void main(String[] args) throws Exception {
        VelocityEngine engine = new VelocityEngine();
        engine.setProperty("runtime.log.logsystem.class", "org.apache.velocity.runtime.log.NullLogChute");
        engine.setProperty("input.encoding", "UTF-8");
        engine.init();
        List<Object> results = new ArrayList<>();
        String cases = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
        for (Object each : (List<?>) new Json(cases).read()) {
            Map<?, ?> one = (Map<?, ?>) each;
            Map<String, Object> result = new LinkedHashMap<>();
            try {
                Map<String, Object> override = new LinkedHashMap<>(Map.of("header", new LinkedHashMap<String, Object>()));
                Map<String, Object> context = new LinkedHashMap<>();
                ((Map<?, ?>) one.get("context")).forEach((k, v) -> context.put((String) k, v));
                context.put("responseOverride", override);
                VelocityContext variables = new VelocityContext();
                variables.put("context", context);
                variables.put("input", new Input((String) one.get("body")));
                variables.put("util", new Util());
                variables.put("stageVariables", one.get("stageVariables"));
                StringWriter out = new StringWriter();
                engine.evaluate(variables, out, "template", (String) one.get("template"));
                result.put("text", out.toString());
                result.put("override", override);
            } catch (Exception e) {
                result.put("error", e.toString());
            }
            results.add(result);
        }
        System.out.write(Json.write(results).getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }

    /** $input. A path that leads nowhere is null. */
    public static class Input {
        private final String text;
        private Object json;

        Input(String text) { this.text = text; }

        public String getBody() { return text; }

        public Object path(String path) {
            Object at = json == null ? json = new Json(text).read() : json;
            // $, .name, ['name'], [0]
            java.util.regex.Matcher step = java.util.regex.Pattern.compile("\\.(\\w+)|\\['([^']+)'\\]|\\[(\\d+)\\]").matcher(path);
            int end = 1;
            while (step.find(end) && step.start() == end) {
                end = step.end();
                if (step.group(3) != null) {
                    int i = Integer.parseInt(step.group(3));
                    at = at instanceof List && i < ((List<?>) at).size() ? ((List<?>) at).get(i) : null;
                } else {
                    String name = step.group(1) != null ? step.group(1) : step.group(2);
                    at = at instanceof Map ? ((Map<?, ?>) at).get(name) : null;
                }
                if (end == path.length()) break;
            }
            if (!path.startsWith("$") || end != path.length()) throw new IllegalArgumentException("a path that this stand-in does not know: " + path);
            return at;
        }

        public String json(String path) { return Json.write(path(path)); }
    }

    /** $util. */
    public static class Util {
        public String escapeJavaScript(String s) { return StringEscapeUtils.escapeJavaScript(s); }

        public Object parseJson(String s) { return new Json(s).read(); }
    }

    /** JSON, as far as it is needed here. */
    static class Json {
        private final String s;
        private int at;

        Json(String s) { this.s = s; }

        Object read() {
            Object v = value();
            space();
            if (at != s.length()) throw fail();
            return v;
        }

        private IllegalArgumentException fail() { return new IllegalArgumentException("no JSON at " + at); }

        private void space() { while (at < s.length() && " \t\r\n".indexOf(s.charAt(at)) >= 0) at++; }

        private char peek() {
            space();
            if (at == s.length()) throw fail();
            return s.charAt(at);
        }

        private void take(char c) {
            if (peek() != c) throw fail();
            at++;
        }

        private Object value() {
            switch (peek()) {
                case '{': {
                    Map<String, Object> m = new LinkedHashMap<>();
                    for (take('{'); peek() != '}'; ) {
                        if (!m.isEmpty()) take(',');
                        peek();
                        String k = string();
                        take(':');
                        m.put(k, value());
                    }
                    take('}');
                    return m;
                }
                case '[': {
                    List<Object> l = new ArrayList<>();
                    for (take('['); peek() != ']'; ) {
                        if (!l.isEmpty()) take(',');
                        l.add(value());
                    }
                    take(']');
                    return l;
                }
                case '"': return string();
                default: {
                    int from = at;
                    while (at < s.length() && "+-.eE0123456789truefalsn".indexOf(s.charAt(at)) >= 0) at++;
                    switch (s.substring(from, at)) {
                        case "true": return true;
                        case "false": return false;
                        case "null": return null;
                        default: {
                            java.math.BigDecimal n = new java.math.BigDecimal(s.substring(from, at));
                            if (n.scale() <= 0 && n.precision() < 18) return n.longValue() == n.intValue() ? (Object) n.intValue() : (Object) n.longValue();
                            return n;
                        }
                    }
                }
            }
        }

        private String string() {
            take('"');
            StringBuilder b = new StringBuilder();
            for (char c; (c = s.charAt(at++)) != '"'; ) {
                if (c != '\\') {
                    b.append(c);
                    continue;
                }
                c = s.charAt(at++);
                int i = "bfnrt".indexOf(c);
                if (i >= 0) b.append("\b\f\n\r\t".charAt(i));
                else if (c == 'u') {
                    b.append((char) Integer.parseInt(s.substring(at, at + 4), 16));
                    at += 4;
                } else b.append(c);
            }
            return b.toString();
        }

        static String write(Object v) {
            StringBuilder b = new StringBuilder();
            write(v, b);
            return b.toString();
        }

        private static void write(Object v, StringBuilder b) {
            if (v instanceof Map) {
                b.append('{');
                String between = "";
                for (Map.Entry<?, ?> e : ((Map<?, ?>) v).entrySet()) {
                    b.append(between);
                    write(e.getKey(), b);
                    b.append(':');
                    write(e.getValue(), b);
                    between = ",";
                }
                b.append('}');
            } else if (v instanceof List) {
                b.append('[');
                String between = "";
                for (Object o : (List<?>) v) {
                    b.append(between);
                    write(o, b);
                    between = ",";
                }
                b.append(']');
            } else if (v instanceof String) {
                b.append('"');
                for (char c : ((String) v).toCharArray()) {
                    if (c == '"' || c == '\\') b.append('\\').append(c);
                    else if (c < ' ' || Character.isSurrogate(c)) b.append(String.format("\\u%04x", (int) c));
                    else b.append(c);
                }
                b.append('"');
            } else b.append(v);
        }
    }
}
