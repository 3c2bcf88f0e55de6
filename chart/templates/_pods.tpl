{{/* What all pods of the chart have in common: the restricted Pod Security Standard and a way onto the nodes. */}}

{{/* Takes (dict "root" $ "component" NAME "uid" NUMBER). */}}
{{- define "auth-service.pod" -}}
{{- $v := .root.Values -}}
{{- $uid := .uid | default 10001 | int -}}
{{- $security := dict "runAsNonRoot" true "runAsUser" $uid "runAsGroup" $uid "fsGroup" $uid "fsGroupChangePolicy" "OnRootMismatch" "seccompProfile" (dict "type" "RuntimeDefault") -}}
serviceAccountName: {{ include "auth-service.account" (list .root .component) }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml (merge (deepCopy $v.podSecurityContext) $security) | nindent 2 }}
{{- with $v.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $v.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $v.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $v.schedulerName }}
schedulerName: {{ . }}
{{- end }}
{{- with $v.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with $v.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "auth-service.containerSecurity" -}}
{{- $security := dict "allowPrivilegeEscalation" false "privileged" false "readOnlyRootFilesystem" true "runAsNonRoot" true "runAsUser" (.uid | default 10001 | int) "runAsGroup" (.uid | default 10001 | int) "capabilities" (dict "drop" (list "ALL")) "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- toYaml (merge (deepCopy .root.Values.containerSecurityContext) $security) -}}
{{- end -}}

{{/* A container of the service's image that runs one of its commands. Takes root, name, args, env (YAML text), volumes
     (YAML list) and resources. */}}
{{- define "auth-service.command" -}}
- name: {{ .name }}
  image: {{ include "auth-service.image" (list .root.Values.image .root.Chart.AppVersion) }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  args: {{ toJson .args }}
  {{- with .env | trim }}
  env:
    {{- . | nindent 4 }}
  {{- end }}
  resources:
    {{- toYaml .resources | nindent 4 }}
  securityContext:
    {{- include "auth-service.containerSecurity" . | nindent 4 }}
  volumeMounts:
    {{- include "auth-service.mounts" .volumes | nindent 4 }}
{{- end -}}
