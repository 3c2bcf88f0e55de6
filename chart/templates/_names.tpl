{{/* Names, labels and images. */}}

{{- define "auth-service.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 40 characters: the longest suffix, and a CronJob's Job, must still fit into 63. */}}
{{- define "auth-service.fullname" -}}
{{- $name := include "auth-service.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What never changes: selectors are immutable. Takes (dict "root" $ "component" NAME). */}}
{{- define "auth-service.selector" -}}
app.kubernetes.io/name: {{ include "auth-service.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "auth-service.podLabels" -}}
{{- $own := include "auth-service.selector" . | fromYaml -}}
{{- toYaml (merge $own (.more | default dict) .root.Values.commonLabels) -}}
{{- end -}}

{{- define "auth-service.labels" -}}
{{- $own := include "auth-service.selector" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" (.root.Chart.AppVersion | toString) -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") -}}
{{- toYaml (merge $own (.more | default dict) .root.Values.commonLabels) -}}
{{- end -}}

{{/* The metadata of an object. Takes root, component, and optionally suffix, name, labels and annotations. */}}
{{- define "auth-service.metadata" -}}
name: {{ .name | default (include "auth-service.object" (list .root .suffix)) }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "auth-service.labels" (dict "root" .root "component" .component "more" .labels) | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The name of one of the release's objects: (list $ SUFFIX). */}}
{{- define "auth-service.object" -}}
{{- $suffix := index . 1 -}}
{{- include "auth-service.fullname" (index . 0) }}{{ if $suffix }}-{{ $suffix }}{{ end -}}
{{- end -}}

{{/* (list IMAGE DEFAULT-TAG) */}}
{{- define "auth-service.image" -}}
{{- $image := index . 0 -}}
{{- with $image.registry }}{{ . | trimSuffix "/" }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default (index . 1) }}{{ end -}}
{{- end -}}

{{/* The account of a component: (list $ COMPONENT). The service's is "service". */}}
{{- define "auth-service.account" -}}
{{- $ := index . 0 -}}{{- $component := index . 1 -}}
{{- if not $.Values.serviceAccount.create -}}
{{- $.Values.serviceAccount.name | default "default" -}}
{{- else if eq $component "service" -}}
{{- $.Values.serviceAccount.name | default (include "auth-service.fullname" $) -}}
{{- else -}}
{{- include "auth-service.object" (list $ $component) -}}
{{- end -}}
{{- end -}}

{{- define "auth-service.issuer" -}}
{{- $scheme := ternary "https" "http" (ne .Values.server.tls.existingSecret "") -}}
{{- .Values.issuer.url | default (printf "%s://%s.%s.svc.%s:%v" $scheme (include "auth-service.fullname" .) .Release.Namespace .Values.clusterDomain .Values.service.port) -}}
{{- end -}}

{{/* The Service as the release's own pods reach it, whatever the issuer is. */}}
{{- define "auth-service.url" -}}
{{- $scheme := ternary "https" "http" (ne .Values.server.tls.existingSecret "") -}}
{{- printf "%s://%s.%s.svc.%s:%v" $scheme (include "auth-service.fullname" .) .Release.Namespace .Values.clusterDomain .Values.service.port -}}
{{- end -}}
