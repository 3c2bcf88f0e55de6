{{/* Ports out of URLs. */}}

{{- define "auth-service.portOf" -}}
{{- $host := (urlParse .).host -}}
{{- $port := regexFind ":[0-9]+$" $host | trimPrefix ":" -}}
{{- $port | default (ternary "443" "80" (hasPrefix "https:" .)) -}}
{{- end -}}

{{/* The ports of every server that the URL of Redis names; as a YAML list. Sentinels tell of servers at 6379. */}}
{{- define "auth-service.redisPorts" -}}
{{- $ports := .Values.networkPolicy.redis.ports -}}
{{- if not $ports -}}
{{- $authority := regexReplaceAll "^[a-z+]+://([^/?]*).*$" .Values.redis.url "${1}" -}}
{{- $sentinel := contains "sentinel" .Values.redis.url -}}
{{- range (splitList "," $authority) -}}
{{- $port := regexFind ":[0-9]+$" . | trimPrefix ":" | default (ternary "26379" "6379" $sentinel) -}}
{{- $ports = append $ports (int $port) -}}
{{- end -}}
{{- if $sentinel }}{{ $ports = append $ports 6379 }}{{ end -}}
{{- end -}}
{{- toYaml (uniq $ports) -}}
{{- end -}}
