FROM x
RUN <<EOF
echo "one"
# not a comment
EOF
RUN cat <<-'A' >a && cat <<"B" >b
	tab
	A
of b \
B
COPY <<one.txt <<'two.txt' /dir/
1 $X
one.txt
2 $X
two.txt
RUN echo "<<EOF" $((1 << 2)) <<<string
