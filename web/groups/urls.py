"""Addresses of a person's home page, and of the pages of their groups."""

from django.urls import path

from web.groups import joining_views, key_views, managing_views, member_views, review_views, suspension_views, views

urlpatterns = [
    path("", views.home, name="home"),
    path("groups/<slug:slug>/", views.group, name="group"),
    path("groups/<slug:slug>/leave/", managing_views.leave, name="group_leave"),
    path("groups/<slug:slug>/keys-allowed/", managing_views.allow_keys, name="group_allow_keys"),
    path("groups/<slug:slug>/keys/", key_views.keys, name="group_keys"),
    path("groups/<slug:slug>/keys/rotate/", key_views.rotate_all, name="group_rotate_keys"),
    path("groups/<slug:slug>/keys/remove-old/", key_views.remove_old, name="group_remove_old_keys"),
    path("groups/<slug:slug>/members/<int:pk>/key/rotate/", key_views.rotate_one, name="member_rotate_key"),
    path("groups/<slug:slug>/members/<int:pk>/key/old/", key_views.old_key, name="member_old_key"),
    path("groups/<slug:slug>/review/", review_views.review, name="group_review"),
    path("groups/<slug:slug>/review/csv/", review_views.as_csv, name="group_review_csv"),
    path("groups/<slug:slug>/review/look/", review_views.look, name="group_review_look"),
    path("groups/<slug:slug>/review/sign/", review_views.sign, name="group_review_sign"),
    path("groups/<slug:slug>/members/<int:pk>/", member_views.member, name="member"),
    path("groups/<slug:slug>/members/<int:pk>/end/", member_views.change_end, name="member_end"),
    path("groups/<slug:slug>/members/<int:pk>/access/", member_views.switch_access, name="member_access"),
    path("groups/<slug:slug>/members/<int:pk>/move/", member_views.move, name="member_move"),
    path("groups/<slug:slug>/suspend/", suspension_views.suspend_group, name="group_suspend"),
    path("groups/<slug:slug>/members/<int:pk>/suspend/", suspension_views.suspend_member, name="member_suspend"),
    path("groups/<slug:slug>/members/<int:pk>/remove/", managing_views.remove, name="member_remove"),
    path("groups/<slug:slug>/members/<int:pk>/manager/", managing_views.change_manager, name="member_manager"),
    path("groups/<slug:slug>/codes/", managing_views.make_code, name="code_make"),
    path("groups/<slug:slug>/codes/<int:pk>/rotate/", managing_views.rotate_code, name="code_rotate"),
    path("groups/<slug:slug>/codes/<int:pk>/withdraw/", managing_views.withdraw_code, name="code_withdraw"),
    path("requests/", joining_views.queue, name="requests"),
    path("requests/ask/", joining_views.ask, name="request_ask"),
    path("requests/<int:pk>/withdraw/", joining_views.withdraw, name="request_withdraw"),
    path("requests/<int:pk>/approve/", joining_views.approve, name="request_approve"),
    path("requests/<int:pk>/decline/", joining_views.decline, name="request_decline"),
    path("requests/link/<str:token>/", joining_views.decision_link, name="request_link"),
]
