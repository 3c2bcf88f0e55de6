{{/* What a run of the load test has in common, whether it is a Job or k6-operator's; RUN_ID stands before the variables. */}}

{{- define "auth-service.loadTestAffinity" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "auth-service.selector" (dict "root" $ "component" "service") | nindent 12 }}
{{- end -}}

{{/* How many pods may count requests for themselves. */}}
{{- define "auth-service.loadTestLimiters" -}}
{{- $v := .Values -}}
{{- if eq (toString $v.rateLimit.backend) "redis" -}}1
{{- else if $v.autoscaling.enabled -}}{{ $v.autoscaling.maxReplicas | int }}
{{- else if $v.keda.enabled -}}{{ $v.keda.maxReplicas | int }}
{{- else -}}{{ $v.replicaCount | int }}
{{- end -}}
{{- end -}}

{{/* Whether the scenario is proved by the counters of the release's one pod. */}}
{{- define "auth-service.loadTestReadsMetrics" -}}
{{- with .Values.loadTest }}{{ if and .enabled (eq .scenario "uniform") (not .targetUrl) }}true{{ end }}{{ end -}}
{{- end -}}

{{- define "auth-service.loadTestEnv" -}}
{{- $v := .Values.loadTest -}}
- {name: BASE_URL, value: {{ $v.targetUrl | default (include "auth-service.url" .) | quote }}}
- {name: CLIENT_ID_FILE, value: /client/client-id}
- {name: CLIENT_SECRET_FILE, value: /client/client-secret}
{{- if eq $v.scenario "hot-client" }}
- {name: HOT_CLIENT_ID_FILE, value: /hot-client/client-id}
- {name: HOT_CLIENT_SECRET_FILE, value: /hot-client/client-secret}
- {name: LIMITERS, value: {{ include "auth-service.loadTestLimiters" . | quote }}}
{{- end }}
{{- if include "auth-service.loadTestReadsMetrics" . }}
- {name: METRICS_URL, value: {{ printf "http://%s.%s:9464/metrics" (include "auth-service.object" (list . "pods")) .Release.Namespace | quote }}}
{{- end }}
- {name: WAIT_SECONDS, value: {{ $v.waitSeconds | int64 | toString | quote }}}
- {name: REPORT_IN_LOG, value: "on"}
{{- if $v.report.volume }}
- {name: REPORT_DIR, value: /reports}
- {name: REPORT_PREFIX, value: "$(RUN_ID)-"}
{{- end }}
{{- with ternary "http://127.0.0.1:9001" $v.calibrationUrl $v.calibration.enabled }}
- {name: CALIBRATION_URL, value: {{ . | quote }}}
{{- end }}
{{- with $v.prometheus.remoteWriteUrl }}
- {name: K6_OUT, value: experimental-prometheus-rw}
- {name: K6_PROMETHEUS_RW_SERVER_URL, value: {{ . | quote }}}
- {name: K6_PROMETHEUS_RW_TREND_STATS, value: {{ join "," $v.prometheus.trendStats | quote }}}
{{- end }}
{{- with $v.env }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end -}}

{{- define "auth-service.loadTestMounts" -}}
- {name: client, mountPath: /client, readOnly: true}
{{- if eq .Values.loadTest.scenario "hot-client" }}
- {name: hot-client, mountPath: /hot-client, readOnly: true}
{{- end }}
- {name: tmp, mountPath: /tmp}
{{- if .Values.loadTest.report.volume }}
- {name: reports, mountPath: /reports}
{{- end }}
{{- end -}}

{{- define "auth-service.loadTestVolumes" -}}
- name: client
  secret:
    secretName: {{ include "auth-service.loadTestSecret" . }}
    defaultMode: 0440
    items: [{key: client-id, path: client-id}, {key: client-secret, path: client-secret}]
{{- if eq .Values.loadTest.scenario "hot-client" }}
- name: hot-client
  secret:
    secretName: {{ include "auth-service.loadTestHotSecret" . }}
    defaultMode: 0440
    items: [{key: client-id, path: client-id}, {key: client-secret, path: client-secret}]
{{- end }}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
{{- with .Values.loadTest.report.volume }}
- name: reports
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
